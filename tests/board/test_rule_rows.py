"""The row of a rule, after looks by the judge itself."""

from datetime import UTC, datetime, timedelta

import pytest

from mlops_dagster.alerting import AlertPolicy, Rule
from mlops_dagster.alerting.criteria import criteria
from mlops_dagster.alerting.judging import Counted, Missing, Observation, Seen, Watch, judge
from mlops_dagster.board.snapshot.entities import RuleRow
from mlops_dagster.board.snapshot.sections.policies import rule_row
from mlops_dagster.monitoring import DriftPolicy

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
POLICY = AlertPolicy()


def rows(rule: Rule, *observations: Observation, minutes: float = 1.0) -> list[RuleRow]:
    """Return the row after each of these looks, so many minutes apart."""
    criterion, watch, found = criteria(POLICY)[rule], Watch("flights", rule), []
    for number, observation in enumerate(observations):
        now = NOON + number * timedelta(minutes=minutes)
        watch, _ = judge(criterion, watch, observation, now)
        found.append(rule_row(rule, criterion, watch, POLICY, DriftPolicy(), now))
    return found


def labels(wrong: int, of: int) -> Seen:
    return Seen("1.0.0", counts={"": Counted(wrong, of)})


def test_a_number_over_its_limit_for_a_time() -> None:
    slow = [Seen("1.0.0", 231.0, 3_000)] * 6
    found = rows(Rule.P99_MS, *slow)
    assert [row.state for row in found] == [
        *(f"pending {minute} of 5 min" for minute in range(5)),
        "firing, warning",
    ]
    assert [row.progress for row in found] == [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    last = found[-1]
    assert (last.now, last.warning, last.critical, last.unit, last.samples) == (231.0, 200.0, 500.0, "ms", 3_000)
    assert last.since == NOON
    (fast,) = rows(Rule.P99_MS, Seen("1.0.0", 120.0, 3_000))
    assert (fast.state, fast.progress, fast.since) == ("ok", 0.0, None)


def test_a_rate_comes_nearer_to_its_proof() -> None:
    """The first look only begins: it is not known how long its labels took."""
    found = rows(Rule.ACCURACY, *[labels(24, 200)] * 40, minutes=60)
    progress = [row.progress for row in found]
    opened = next(number for number, row in enumerate(found) if row.state.startswith("firing"))
    assert opened > 2
    assert progress[:opened] == sorted(progress[:opened])
    assert 0 < progress[opened - 1] < 1
    assert progress[opened] == 1.0
    row = found[opened]
    assert (row.now, row.warning, row.critical, row.low_is_bad) == (88.0, 93.0, 91.0, True)
    assert row.low < row.now < row.high
    assert row.way == "proof, 1 false alarm a year"


@pytest.mark.parametrize(
    ("observation", "state"),
    [
        (labels(2, 41), "cannot tell: 41 of 200 labels"),
        (Missing("no drift report"), "cannot tell: no drift report"),
    ],
)
def test_too_little_is_said(observation: Observation, state: str) -> None:
    (row,) = rows(Rule.ACCURACY, observation)
    assert (row.state, row.progress) == (state, None)


def test_drift_shows_the_distance_and_not_the_code_of_its_verdict() -> None:
    (row,) = rows(Rule.PSI, Seen("1.0.0", 1.0, 9_000, said="carrier", kept=(0.12,)))
    assert (row.now, row.warning, row.critical, row.samples) == (0.12, 0.1, 0.25, 9_000)


def test_a_rule_that_was_never_judged() -> None:
    row = rule_row(Rule.KS, criteria(POLICY)[Rule.KS], None, POLICY, DriftPolicy(), NOON)
    assert (row.state, row.condition, row.now, row.warning) == ("not judged yet", None, None, DriftPolicy().ks)
