"""When validation puts a model on hold, and lifts that."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops_dagster.monitoring import ValidationPolicy, ValidationResult, enact_hold, should_hold
from mlops_dagster.registry import Hold, ModelRegistry

NOON = datetime(2013, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
HOLDS = ValidationPolicy(hold=True)
GOOD, BAD, EMPTY = ValidationResult(37, (), 9), ValidationResult(37, ("temp: 20 outside",), 9), ValidationResult(0)
DOUBTFUL = ValidationResult(3, (), 9, doubts=("temp: 2 of 3 outside",))
UNASKED = ValidationResult(37)


@pytest.mark.parametrize(
    ("results", "action"),
    [
        ({NOON: BAD}, "hold"),
        ({NOON: GOOD}, "release"),
        ({NOON: EMPTY}, "leave"),
        ({NOON: DOUBTFUL}, "leave"),
        ({NOON - HOUR: GOOD, NOON: DOUBTFUL}, "leave"),
        ({NOON - HOUR: DOUBTFUL, NOON: BAD}, "hold"),
        ({NOON - HOUR: DOUBTFUL, NOON: GOOD}, "release"),
        ({}, "leave"),
        ({NOON: GOOD, NOON - HOUR: BAD}, "release"),
        ({NOON - HOUR: GOOD, NOON: BAD}, "hold"),
        ({NOON - HOUR: BAD, NOON: EMPTY}, "hold"),
        ({NOON: UNASKED}, "leave"),
        ({NOON - HOUR: BAD, NOON: UNASKED}, "hold"),
        ({NOON - 3 * HOUR: BAD}, "leave"),
        ({NOON - timedelta(days=30): BAD}, "leave"),
    ],
)
def test_the_newest_hour_with_rows_decides_while_it_is_fresh(
    results: dict[datetime, ValidationResult], action: str
) -> None:
    assert should_hold(HOLDS, results, NOON + HOUR).action == action
    assert should_hold(ValidationPolicy(), results, NOON + HOUR).action == "leave", "by default nothing is held"


RESULTS = st.dictionaries(
    st.integers(0, 48).map(lambda back: NOON - back * HOUR), st.sampled_from([GOOD, BAD, EMPTY]), max_size=6
)


@given(RESULTS, st.integers(0, 48))
def test_hours_without_rows_never_matter(results: dict[datetime, ValidationResult], hours: int) -> None:
    now = NOON + hours * HOUR
    told = {hour: result for hour, result in results.items() if result.rows}
    decided = should_hold(HOLDS, results, now)
    assert decided == should_hold(HOLDS, told, now)
    if decided.action != "leave":
        newest = told[max(told)]
        assert decided.action == ("hold" if newest.failures else "release")


def test_a_bad_hour_holds_and_the_next_good_one_lifts_it(tmp_path: Path) -> None:
    registry = ModelRegistry(f"sqlite:///{tmp_path}/registry.sqlite")
    (tmp_path / "model.onnx").write_text("weights")
    registry.register("flights", tmp_path / "model.onnx")
    for hour, result in enumerate([GOOD, BAD, EMPTY, GOOD]):
        now = NOON + (hour + 1) * HOUR
        enact_hold(registry, "flights", should_hold(HOLDS, {NOON + hour * HOUR: result}, now))
    told = [(event.kind, event.reason) for event in registry.history("flights")[1:]]
    assert told == [
        ("held", "validation: the hour 2013-03-01 13:00 UTC failed: temp: 20 outside"),
        ("released", "validation: the hour 2013-03-01 15:00 UTC passed, with 37 rows"),
    ]
    registry.hold("flights", "by hand")
    assert enact_hold(registry, "flights", should_hold(HOLDS, {NOON: GOOD}, NOON)).on_hold == Hold("by hand")
    registry.close()
