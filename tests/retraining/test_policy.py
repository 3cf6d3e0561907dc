"""When to retrain: the whole table of cases."""

from datetime import UTC, datetime, timedelta

import pytest

from mlops_dagster.retraining.policy import DriftSignal, RetrainingPolicy, should_retrain

LAST = datetime(2013, 1, 31, tzinfo=UTC)
DRIFT = DriftSignal("retrain", ("temp", "hour"))
CALM = DriftSignal("stable", ())
NO_IDEA = DriftSignal("cannot_tell", ())
WATCH = DriftSignal("monitor", ())


@pytest.mark.parametrize(
    ("policy", "days", "drift", "rollout", "trigger", "reason"),
    [
        ({}, 8, DRIFT, False, "drift", "drift of temp, hour"),
        ({}, 7, DRIFT, False, "drift", "drift of temp, hour"),
        ({}, 6.9, DRIFT, False, None, "not before 2013-02-07 00:00"),
        ({}, 8, DRIFT, True, None, "a rollout is running"),
        ({}, 8, CALM, False, None, "no drift; the monthly retraining is due on 2013-02-28"),
        ({}, 8, WATCH, False, None, "no drift"),
        ({}, 8, NO_IDEA, False, None, "no drift"),
        ({}, 8, None, False, None, "no drift"),
        ({"on_drift": False}, 8, DRIFT, False, None, "no drift"),
        ({}, 28, CALM, False, "cadence", "monthly retraining was due on 2013-02-28"),
        ({}, 27.9, CALM, False, None, "2013-02-28"),
        ({}, 40, CALM, True, None, "a rollout is running"),
        ({"cooldown_days": 60}, 40, DRIFT, False, "cadence", "monthly"),
        ({"cadence": "weekly"}, 7, CALM, False, "cadence", "weekly"),
        ({"cadence": "weekly"}, 7, DRIFT, False, "drift", "drift"),
        ({"cadence": None}, 400, CALM, False, None, "no drift"),
        ({"cadence": None, "cooldown_days": 0}, 0, DRIFT, False, "drift", "drift"),
    ],
)
def test_whichever_comes_first(
    policy: dict[str, object], days: float, drift: DriftSignal | None, rollout: bool, trigger: str | None, reason: str
) -> None:
    found = should_retrain(
        RetrainingPolicy.model_validate(policy),
        now=LAST + timedelta(days=days),
        last_retraining_at=LAST,
        drift=drift,
        rollout_active=rollout,
    )
    assert (found.trigger, found.retrain) == (trigger, trigger is not None)
    assert reason in found.reason


@pytest.mark.parametrize(
    ("days", "drift", "rollout", "trigger", "reason"),
    [
        (8, CALM, False, "performance", "macro-F1 is low"),
        (8, DRIFT, False, "performance", "macro-F1 is low"),
        (6.9, CALM, False, None, "macro-F1 is low, but the last retraining is too fresh: not before 2013-02-07 00:00"),
        (8, CALM, True, None, "a rollout is running"),
        (28, CALM, False, "performance", "macro-F1 is low"),
    ],
)
def test_a_champion_that_does_too_badly_is_a_reason(
    days: float, drift: DriftSignal, rollout: bool, trigger: str | None, reason: str
) -> None:
    found = should_retrain(
        RetrainingPolicy(),
        now=LAST + timedelta(days=days),
        last_retraining_at=LAST,
        drift=drift,
        rollout_active=rollout,
        performance="macro-F1 is low",
    )
    assert (found.trigger, found.reason[: len(reason)]) == (trigger, reason)


def test_a_model_never_trained_is_due() -> None:
    found = should_retrain(RetrainingPolicy(), now=LAST, last_retraining_at=None, drift=None, rollout_active=False)
    assert found.trigger == "cadence"


def test_the_month_after_december_is_in_the_next_year() -> None:
    last = datetime(2013, 12, 15, tzinfo=UTC)
    found = should_retrain(RetrainingPolicy(), now=last, last_retraining_at=last, drift=None, rollout_active=False)
    assert found.reason == "no drift; the monthly retraining is due on 2014-01-15"


@pytest.mark.parametrize(
    "metadata", [{}, {"verdict": "cannot_tell"}, {"drifted": "temp"}, {"verdict": "stable", "drifted": None}]
)
def test_a_report_without_a_verdict_to_retrain_is_no_signal(metadata: dict[str, object]) -> None:
    signal = DriftSignal.from_metadata(metadata)
    assert signal.verdict != "retrain"
    assert signal.features == ()
