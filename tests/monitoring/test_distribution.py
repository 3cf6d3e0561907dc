"""The expectation of a distribution: what it measures, whom it fails and warns, and that chance does neither."""

import numpy as np
import pandas as pd
import pytest
from great_expectations import ExpectationSuite
from scipy.stats import chi2, entropy

from mlops_dagster.monitoring import ValidationPolicy, suite_for, validate, validate_each
from mlops_dagster.monitoring.validation.expectations.distribution import distribution, is_close
from mlops_dagster.monitoring.validation.validate import run
from mlops_dagster.statistics import CategoricalBins, Histogram, NumericBins
from tests.monitoring.test_validation import SCHEMA, flights, make_baseline


def divergence(reference: Histogram, values: object) -> float | None:
    """As Great Expectations measures it."""
    expected = distribution("x", reference, max_divergence=0.5, least_rows=100)
    assert expected is not None
    frame = pd.DataFrame({"x": values})
    (found,) = run(frame, ExpectationSuite(name="x", expectations=[expected])).results
    assert not found.exception_info["raised_exception"]
    return found.result["observed_value"]


def test_it_is_the_divergence_of_the_counts() -> None:
    """The cells of these bins are the groups already, edges and infinities among the values."""
    reference = Histogram(NumericBins((0.0, 1.0, 2.0)), [7, 10, 20, 30, 40])
    values = [-np.inf, -1.0, 0.0, 0.5, 1.0, 1.0, 2.0, 2.0, 3.0, np.inf, np.nan]
    assert divergence(reference, values) == pytest.approx(entropy([2, 2, 2, 4], [10, 20, 30, 40]))
    origins = Histogram(CategoricalBins(("a", "b", "c")), [7, 60, 39, 0, 1])
    shares = np.array([60, 39, 0.5, 1]) / 100.5
    assert divergence(origins, ["a"] * 5 + ["b"] * 3 + ["new"] * 2) == pytest.approx(entropy([5, 3, 0, 2], shares))


@pytest.mark.parametrize("values", [[3.0] * 50, [None] * 50])
def test_what_never_moved_has_none(values: list[float | None]) -> None:
    reference = Histogram.of(NumericBins.fit(values), values)
    assert distribution("x", reference, max_divergence=0.5, least_rows=1) is None


def test_it_fails_days_with_enough_rows_only() -> None:
    stuck = flights(1000, seed=4).assign(delay=9.0)
    baseline = make_baseline(flights(5000, seed=0), SCHEMA, scores=[0.5] * 5000, labels=["late"] * 5000)
    suite = suite_for(SCHEMA, baseline, rows_per_observation={"delay": 7.0})
    (reason,) = validate(stuck[:700], suite, "day").failures
    assert reason == (
        "delay: is distributed otherwise, 2.30 nats from the baseline, at most 0.5 may be: "
        "100% are 4.4171 to 9.44694, where 10% were (`validation: {max_divergence: 0.5}`, 2.31 would allow it)"
    )
    assert validate(stuck[:699], suite, "day").passed  # of 7 rows one counts, and 100 are needed
    hour = validate(stuck, suite, "hour")
    assert (hour.passed, hour.doubts) == (True, ())  # how far hours are from each other nobody knows
    training_set = validate(stuck.assign(label="late"), suite, "training_set")
    assert (training_set.passed, training_set.doubts) == (True, (reason,))  # drift is why it is made
    lenient = suite_for(SCHEMA, baseline, policy=ValidationPolicy(max_divergence=2.5))
    assert validate(stuck, lenient, "day").passed


def a_month(rows_an_hour: int, seed: int) -> pd.DataFrame:
    """Flights whose delays come and go with the hour of the day, and whose temperature all flights of an hour share."""
    rows = 30 * 24 * rows_an_hour
    hour = np.arange(rows) // rows_an_hour
    sky = np.random.default_rng(seed).normal(50, 15, 30 * 24)
    return flights(rows, seed).assign(
        delay=lambda frame: frame["delay"] + 15 * np.sin(hour * np.pi / 12),
        temp=sky[hour],
        event_time=pd.Timestamp("2013-03-01", tz="UTC") + pd.to_timedelta(hour, unit="h"),
    )


def test_an_hour_is_in_doubt_when_it_is_farther_than_any_of_training() -> None:
    """As far as one of them it may be; and it costs nothing where all is well."""
    learnt = a_month(rows_an_hour=30, seed=0)
    baseline = make_baseline(
        learnt, SCHEMA, scores=[0.5] * len(learnt), labels=["late"] * len(learnt), times=learnt["event_time"]
    )
    suite = suite_for(SCHEMA, baseline)
    served = a_month(rows_an_hour=200, seed=1)
    hours = {hour: frame.drop(columns="event_time") for hour, frame in served.groupby("event_time")}
    usual = dict(list(hours.items())[:72])
    assert {(each.passed, each.doubts) for each in validate_each(usual, suite).values()} == {(True, ())}
    first, *_ = usual
    mirrored, stuck = (usual[first].assign(delay=delay) for delay in (100 - usual[first]["delay"], 9.0))
    found = validate_each({**usual, "mirrored": mirrored, "stuck": stuck}, suite)
    assert found["stuck"] == validate(stuck, suite)
    assert all(found[hour].passed for hour in ("mirrored", "stuck")), "whether it is drift is for the drift report"
    in_doubt = {hour: its.doubts[0].partition(",")[0] for hour, its in found.items() if its.doubts}
    assert in_doubt == dict.fromkeys(("mirrored", "stuck"), "delay: is distributed otherwise")


def test_what_is_close_needs_no_great_expectations() -> None:
    generator = np.random.default_rng(5)
    numbers = Histogram.of(NumericBins.fit(drawn := generator.normal(size=5000)), drawn)
    texts = Histogram.of(
        CategoricalBins.fit(names := generator.choice(["a", "b", "c"], 5000, p=[0.7, 0.2, 0.1])), names
    )
    batches: list[tuple[Histogram, list[float | str | None]]] = [
        (numbers, generator.normal(1.5, 1, 300).tolist()),
        (numbers, [*generator.normal(1, 2, 300), None, np.inf, -np.inf]),
        (texts, [*generator.choice(["a", "b", "c"], 300, p=[0.1, 0.2, 0.7]), None]),
        (texts, generator.choice(["a", "b", "new"], 300, p=[0.7, 0.2, 0.1]).tolist()),
    ]
    for reference, values in batches:
        far = divergence(reference, values)
        assert far is not None
        frame = pd.DataFrame({"x": values})
        for limit, close in ((far / 0.9 * 1.001, True), (far / 0.9 * 0.999, False)):
            asked = distribution("x", reference, max_divergence=limit, least_rows=1)
            assert asked is not None
            assert is_close(asked, frame) is close
            assert not is_close(asked, frame[:0])
            assert not is_close(asked, frame.rename(columns={"x": "y"}))
    assert not is_close(distribution("x", numbers, max_divergence=9, least_rows=1), pd.DataFrame({"x": ["1.0", "2.0"]}))  # type: ignore[arg-type]  # not None


@pytest.mark.parametrize("groups", [2, 12, 200])
def test_chance_does_not_reach_the_limit(groups: int) -> None:
    """By the G-test, at the least rows that are asked for; and by draws from the reference itself."""
    generator = np.random.default_rng(groups)
    names = [f"c{number:03}" for number in range(groups)]
    weights = generator.dirichlet(np.full(groups, 3.0))
    drawn = generator.choice(names, 50_000, p=weights)
    reference = Histogram.of(CategoricalBins.fit(drawn), drawn)
    expected = distribution("x", reference, max_divergence=0.5, least_rows=100)
    assert expected is not None
    rows = expected.meta["min_batch_rows"]
    assert chi2.sf(2 * rows * 0.5, groups) < 1e-12
    found = [divergence(reference, generator.choice(names, rows, p=weights)) for _ in range(20)]
    assert max(value for value in found if value is not None) < 0.25
    assert None not in found
