"""The expectation of a distribution: the divergence it measures, when it is judged, and that chance never fails it."""

import numpy as np
import pandas as pd
import pytest
from great_expectations import ExpectationSuite
from scipy.stats import chi2, entropy

from mlops_dagster.monitoring import ValidationPolicy, suite_for, validate
from mlops_dagster.monitoring.distribution import distribution
from mlops_dagster.monitoring.validation import _run
from mlops_dagster.statistics import CategoricalBins, Histogram, NumericBins
from tests.monitoring.test_validation import SCHEMA, flights, make_baseline


def divergence(reference: Histogram, values: object) -> float | None:
    """As Great Expectations measures it."""
    expected = distribution("x", reference, max_divergence=0.5, min_rows=100)
    assert expected is not None
    frame = pd.DataFrame({"x": values})
    (found,) = _run(frame, ExpectationSuite(name="x", expectations=[expected]), {"result_format": "BASIC"}).results
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
    assert distribution("x", reference, max_divergence=0.5, min_rows=1) is None


def test_it_is_asked_of_days_with_enough_rows_only() -> None:
    stuck = flights(1000, seed=4).assign(delay=9.0)
    baseline = make_baseline(flights(5000, seed=0), SCHEMA, scores=[0.5] * 5000, labels=["late"] * 5000)
    suite = suite_for(SCHEMA, baseline, shared_by={"delay": 7.0})
    (reason,) = validate(stuck[:700], suite, "day").failures
    assert reason == (
        "delay: is distributed otherwise, 2.30 nats from the baseline, at most 0.5 may be: "
        "100% are 4.4171 to 9.44694, where 10% were"
    )
    assert validate(stuck[:699], suite, "day").passed  # of 7 rows one counts, and 100 are needed
    assert validate(stuck, suite, "hour").passed  # all rows of an hour have that hour
    assert validate(stuck.assign(label="late"), suite, "training_set").passed  # drift is why it is made
    lenient = suite_for(SCHEMA, baseline, policy=ValidationPolicy(max_divergence=2.5))
    assert validate(stuck, lenient, "day").passed


@pytest.mark.parametrize("groups", [2, 12, 200])
def test_chance_does_not_reach_the_limit(groups: int) -> None:
    """By the G-test, at the least rows that are asked for; and by draws from the reference itself."""
    generator = np.random.default_rng(groups)
    names = [f"c{number:03}" for number in range(groups)]
    weights = generator.dirichlet(np.full(groups, 3.0))
    drawn = generator.choice(names, 50_000, p=weights)
    reference = Histogram.of(CategoricalBins.fit(drawn), drawn)
    expected = distribution("x", reference, max_divergence=0.5, min_rows=100)
    assert expected is not None
    rows = expected.meta["min_rows"]
    assert chi2.sf(2 * rows * 0.5, groups) < 1e-12
    found = [divergence(reference, generator.choice(names, rows, p=weights)) for _ in range(20)]
    assert max(value for value in found if value is not None) < 0.25
    assert None not in found
