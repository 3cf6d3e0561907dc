"""The macro-F1 floor: the whole table of cases."""

from dataclasses import replace

import pytest
from pydantic import ValidationError

from mlops_dagster.monitoring import PerformancePolicy
from mlops_dagster.rollout.comparison.comparison import Comparison, Scores, Standing
from mlops_dagster.rollout.floor.floor import FloorOutcome, Headline, decide_floor, headline_of
from mlops_dagster.tasks import UNKNOWN_TASK, Classification, Measure
from tests.rollout.test_comparison import TABLE, held

SURE, UNSURE = (0.79, 0.82), (0.80, 0.84)


def before(verdict: Standing, macro_f1: float) -> Comparison:
    """The champion before, against one with a macro-F1 of 0.81."""
    found = held(TABLE)
    part = replace(
        found.overall,
        verdict=verdict,
        reason="the proof",
        champion=Scores({"macro_f1": Measure(0.81)}, 0),
        challenger=Scores({"macro_f1": Measure(macro_f1)}, 0),
    )
    return replace(found, overall=part)


BETTER, SAME = before(Standing.SUPERIOR, 0.88), before(Standing.NOT_WORSE, 0.82)


@pytest.mark.parametrize(
    ("value", "rows", "interval", "previous", "outcome", "reason"),
    [
        (0.87, 900, (0.86, 0.88), None, FloorOutcome.FINE, "0.870 is not under 0.87 (900 rows)"),
        (0.95, 199, (0.9, 0.99), None, FloorOutcome.INCONCLUSIVE, "199 labelled rows, 200 are needed"),
        (0.10, 199, (0.1, 0.2), BETTER, FloorOutcome.INCONCLUSIVE, "199 labelled rows, 200 are needed"),
        (None, 0, None, None, FloorOutcome.INCONCLUSIVE, "0 labelled rows"),
        (0.869, 900, (0.85, 0.89), None, FloorOutcome.ALERT, "0.869 is under 0.87"),
        (0.83, 900, (0.81, 0.85), BETTER, FloorOutcome.ALERT, "0.830 is under 0.87"),
        (0.81, 900, SURE, BETTER, FloorOutcome.ROLL_BACK, "1.1.0 does better on the same labels: the proof"),
        (0.82, 900, UNSURE, BETTER, FloorOutcome.ROLL_BACK, "under the floor of 0.83 (900 rows)"),
        (0.81, 900, SURE, SAME, FloorOutcome.RETRAIN, "not proven to do better on the same labels (macro-F1 0.820 to"),
        (0.81, 900, SURE, None, FloorOutcome.RETRAIN, "there is no version to go back to"),
        (0.82, 900, UNSURE, SAME, FloorOutcome.ALERT, "may be chance"),
        (0.82, 900, None, SAME, FloorOutcome.ALERT, "may be chance"),
        # more often right, by always saying what is frequent
        (0.81, 900, SURE, before(Standing.SUPERIOR, 0.80), FloorOutcome.RETRAIN, "macro-F1 0.800 to 0.810"),
        # better by the look of it
        (0.81, 900, SURE, before(Standing.INCONCLUSIVE, 0.95), FloorOutcome.RETRAIN, "not proven"),
    ],
)
def test_what_is_done_about_a_champion(
    value: float | None,
    rows: int,
    interval: tuple[float, float] | None,
    previous: Comparison | None,
    outcome: FloorOutcome,
    reason: str,
) -> None:
    found = decide_floor(PerformancePolicy(), Headline(rows, value, interval), previous)
    assert found.outcome is outcome
    assert reason in found.reason
    assert found.to == ("1.1.0" if outcome is FloorOutcome.ROLL_BACK else "")
    assert found.under_alert is (outcome not in (FloorOutcome.FINE, FloorOutcome.INCONCLUSIVE))


def test_headline_of_counts() -> None:
    assert headline_of(UNKNOWN_TASK, {}, 0) == Headline(0)
    found = headline_of(UNKNOWN_TASK, {("late", "late"): 90, ("late", "ok"): 10, ("ok", "ok"): 100}, 200)
    assert (found.rows, found.value) == (200, pytest.approx((180 / 190 + 200 / 210) / 2))
    assert found.interval is not None
    assert found.interval[0] < 0.93 < 0.96 < found.interval[1]
    # scikit-learn's f1_score(average="macro", labels=["late", "ok"]) of the same and a truth that is no class
    misspelt = {("late", "late"): 90, ("late", "ok"): 10, ("ok", "ok"): 100, ("Late", "late"): 2}
    found = headline_of(Classification(classes=("late", "ok")), misspelt, 202)
    assert (found.rows, found.value) == (202, pytest.approx((180 / 192 + 200 / 210) / 2))
    assert found.interval is not None
    assert found.interval[0] > 0.9


def test_a_floor_over_the_alert_is_refused() -> None:
    with pytest.raises(ValidationError, match=r"floor \(0.9\) must be under alert \(0.87\)"):
        PerformancePolicy(floor=0.9)
