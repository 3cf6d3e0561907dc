"""When to retrain: the whole table of cases."""

from datetime import UTC, datetime, timedelta

import pytest

from mlops_dagster.retraining.policy import RetrainingPolicy, should_retrain
from mlops_dagster.retraining.signals import ConceptSignal, DriftSignal, PerformanceSignal

LAST = datetime(2013, 1, 31, tzinfo=UTC)
DRIFT = DriftSignal("retrain", ("temp", "hour"))
CALM = DriftSignal("stable", ())
NO_IDEA = DriftSignal("inconclusive", ())
WATCH = DriftSignal("monitor", ())
POOR = PerformanceSignal("macro-F1 is low", {"macro_f1": "0.8", "limit": "0.83"})


@pytest.mark.parametrize(
    ("policy", "days", "drift", "rollout", "trigger", "reason"),
    [
        ({}, 8, DRIFT, False, "drift", "drift of temp, hour"),
        ({}, 7, DRIFT, False, "drift", "drift of temp, hour"),
        ({}, 6.9, DRIFT, False, None, "not before 2013-02-07 00:00"),
        ({}, 8, DRIFT, True, None, "a rollout is running"),
        ({}, 8, CALM, False, None, "no drift; the monthly retraining is due on 2013-02-28"),
        ({}, 8, WATCH, False, None, "drift, but none over the limit for a retraining; the monthly"),
        ({}, 8, NO_IDEA, False, None, "drift cannot be told; the monthly"),
        ({}, 8, None, False, None, "no drift report of this champion in the last days; the monthly"),
        ({"on_drift": False}, 8, DRIFT, False, None, "drift starts none by the policy; the monthly"),
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
        retrained_at=[LAST],
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
        retrained_at=[LAST],
        drift=drift,
        rollout_active=rollout,
        performance=POOR,
    )
    assert (found.trigger, found.reason[: len(reason)]) == (trigger, reason)


def test_a_model_never_trained_is_due() -> None:
    found = should_retrain(RetrainingPolicy(), now=LAST, retrained_at=[], drift=None, rollout_active=False)
    assert found.trigger == "cadence"


def test_a_clock_that_was_years_ahead_holds_nothing_up() -> None:
    ahead = LAST + timedelta(days=3650)
    given = {"retrained_at": [LAST, ahead], "failed_at": [ahead] * 9, "rollout_active": False}
    found = should_retrain(RetrainingPolicy(), now=LAST + timedelta(days=8), drift=DRIFT, **given)  # type: ignore[arg-type]
    assert found.trigger == "drift"
    found = should_retrain(RetrainingPolicy(), now=LAST - timedelta(hours=1), drift=DRIFT, **given)  # type: ignore[arg-type]
    assert "too fresh: not before 2013-02-07 00:00" in found.reason  # another machine's, an hour ahead


@pytest.mark.parametrize(
    ("last", "due"),
    [
        ("2013-01-31", "2013-02-28"),
        ("2016-01-31", "2016-02-29"),
        ("2013-03-31", "2013-04-30"),
        ("2013-12-31", "2014-01-31"),
    ],
)
def test_a_month_after_its_last_day_is_the_last_day_of_the_next(last: str, due: str) -> None:
    at = datetime.fromisoformat(f"{last}T23:59:59+00:00")
    found = should_retrain(RetrainingPolicy(), now=at, retrained_at=[at], drift=None, rollout_active=False)
    assert found.reason == f"no drift report of this champion in the last days; the monthly retraining is due on {due}"


def test_the_month_after_december_is_in_the_next_year() -> None:
    last = datetime(2013, 12, 15, tzinfo=UTC)
    found = should_retrain(RetrainingPolicy(), now=last, retrained_at=[last], drift=None, rollout_active=False)
    assert (
        found.reason == "no drift report of this champion in the last days; the monthly retraining is due on 2014-01-15"
    )


WORSE = ConceptSignal(drifted=True, reason="0.150 of 900 wrong", numbers={"e_value": "120", "needed": "80"})


@pytest.mark.parametrize(
    ("changes", "policy", "trigger", "reason"),
    [
        ({"concept": WORSE}, {}, "concept_drift", "0.150 of 900 wrong"),
        ({"concept": WORSE, "drift": DRIFT}, {}, "concept_drift", "0.150"),
        ({"concept": WORSE, "performance": POOR}, {}, "performance", "macro-F1"),
        ({"concept": WORSE}, {"on_concept_drift": False}, None, "no drift"),
        ({"concept": ConceptSignal(drifted=False, reason="fine")}, {}, None, "no drift"),
        ({"drift": DRIFT, "running": True}, {}, None, "a retraining is running"),
        # two in the last 30 days: what asks for it does not matter
        ({"drift": DRIFT}, {"budget": 2}, None, "2 retrainings in 30 days, the budget is 2; the next 2013-02-21"),
        ({"drift": CALM}, {"budget": 2, "cadence": "weekly"}, None, "the budget is 2"),
        ({"drift": DRIFT}, {"budget": 3}, "drift", "drift"),
    ],
)
def test_concept_drift_budget_and_one_at_a_time(
    changes: dict[str, object], policy: dict[str, object], trigger: str | None, reason: str
) -> None:
    now = LAST + timedelta(days=8)
    given: dict[str, object] = {"drift": CALM, "rollout_active": False} | changes
    found = should_retrain(
        RetrainingPolicy.model_validate(policy),
        now=now,
        retrained_at=[now - timedelta(days=30), now - timedelta(days=17), LAST],
        **given,  # type: ignore[arg-type]
    )
    assert found.trigger == trigger
    assert reason in found.reason
    assert found.numbers == (WORSE.numbers if trigger == "concept_drift" else found.numbers)


def test_a_weekly_cadence_is_within_the_default_budget() -> None:
    now = LAST + timedelta(days=70)
    weekly = [now - timedelta(days=7 * number) for number in range(1, 10)]
    found = should_retrain(
        RetrainingPolicy(cadence="weekly"),
        now=now,
        retrained_at=weekly,
        drift=None,
        rollout_active=False,
    )
    assert (found.trigger, found.numbers) == (
        "cadence",
        {"cadence": "weekly", "last": f"{weekly[0]:%Y-%m-%d}", "due": f"{now:%Y-%m-%d}"},
    )


def test_every_trigger_shows_what_was_measured_and_its_limit() -> None:
    given = {"now": LAST, "retrained_at": [], "rollout_active": False}
    drift = DriftSignal("retrain", ("x",), psi={"x": 0.4}, noise={"x": 0.03}, limit=0.25)
    found = should_retrain(RetrainingPolicy(), drift=drift, **given)  # type: ignore[arg-type]
    assert found.numbers == {"drifted features": "1", "limit": "0.25", "psi x": "0.4", "noise x": "0.03"}
    found = should_retrain(RetrainingPolicy(), drift=drift, performance=POOR, **given)  # type: ignore[arg-type]
    assert found.numbers == {"macro_f1": "0.8", "limit": "0.83"}
    found = should_retrain(RetrainingPolicy(), drift=None, **given)  # type: ignore[arg-type]
    assert found.numbers == {"cadence": "monthly", "last": "never", "due": "2013-01-31"}


def test_of_many_drifted_features_a_run_names_the_gravest() -> None:
    names = [f"pixel_{number}" for number in range(64)]
    psi = {name: 0.3 + number / 100 for number, name in enumerate(names)}
    drift = DriftSignal("retrain", tuple(names), psi=psi, noise=dict.fromkeys(names, 0.1))
    found = should_retrain(RetrainingPolicy(), now=LAST, retrained_at=[], rollout_active=False, drift=drift)
    assert found.reason.startswith("drift of pixel_63, pixel_62, pixel_61, pixel_60, pixel_59 and 59 more; whether")
    assert found.numbers["drifted features"] == "64"
    assert found.numbers["psi pixel_63"] == "0.93"
    assert len(found.numbers) == 11
