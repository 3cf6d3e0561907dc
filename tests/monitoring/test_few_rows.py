"""What a day may look like: drift is told from days like those of training, at any traffic and with few rows."""

from collections import Counter
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

from mlops_dagster.monitoring import DriftPolicy, FeatureDrift, Verdict, drift, make_baseline
from mlops_dagster.registry import Baseline
from mlops_dagster.schema import Feature, ModelSchema
from mlops_dagster.statistics import DesignEffect, psi_noise, psi_of_groups
from mlops_dagster.tasks import Classification

SCHEMA = ModelSchema(features=(Feature(name="x", kind="numeric"),), task=Classification(classes=("no", "yes")))


def in_days(
    days: int, rows: int, correlation: float, rng: np.random.Generator, shift: float = 0.0
) -> npt.NDArray[np.float64]:
    """Normal values of variance 1, of which those of a day share so much."""
    day = np.repeat(rng.normal(size=days), rows)
    return np.sqrt(correlation) * day + np.sqrt(1 - correlation) * rng.normal(size=days * rows) + shift


def trained_on(values: npt.NDArray[np.float64], days: int) -> Baseline:
    times = pd.Series(pd.date_range("2013-01-01", periods=days, freq="D").repeat(len(values) // days))
    labels = np.full(len(values), "no", dtype=object)
    return make_baseline(pd.DataFrame({"x": values}), SCHEMA, scores=np.zeros(1), labels=labels, times=times)


def judged(
    baseline: Baseline, rows: int, correlation: float, rng: np.random.Generator, shift: float = 0.0
) -> list[FeatureDrift]:
    """A hundred days."""
    bins = baseline.features["x"].bins
    days = ({"x": bins.count(in_days(1, rows, correlation, rng, shift))} for _ in range(100))
    return [drift(baseline, day, DriftPolicy(), hours=24).features[0] for day in days]


@pytest.mark.parametrize(("correlation", "rows", "times"), [(0.01, 1000, 10), (0.05, 300, 50)])
def test_more_traffic_than_in_training_is_no_drift(correlation: float, rows: int, times: int) -> None:
    rng = np.random.default_rng(rows)
    baseline = trained_on(in_days(60, rows, correlation, rng), 60)
    found = judged(baseline, rows * times, correlation, rng)
    over = [each for each in found if each.psi is not None and each.noise is not None and each.psi > each.noise]
    assert len(over) <= 10  # 35 and 66 if rows were worth what they were in training


@pytest.mark.parametrize(("shift", "least"), [(0.0, 0), (1.0, 35), (3.0, 100)])
def test_a_shift_is_found_where_a_whole_day_shares_its_cause(shift: float, least: int) -> None:
    """About a hundred independent rows a day, whatever the traffic: half the `min_rows` of drift without known days."""
    rng = np.random.default_rng(7)
    baseline = trained_on(in_days(60, 2000, 0.08, rng), 60)
    found = Counter(each.verdict for each in judged(baseline, 2000, 0.08, rng, shift))
    assert found[Verdict.RETRAIN] >= least
    if shift == 0:
        assert found[Verdict.RETRAIN] + found[Verdict.MONITOR] <= 3


def test_a_storm_like_those_of_training_is_no_drift() -> None:
    rng = np.random.default_rng(11)
    days = [rng.normal(3.0 * (day % 20 == 7), size=1000) for day in range(60)]
    baseline = trained_on(np.concatenate(days), 60)
    bins = baseline.features["x"].bins

    def of(level: float, hours: float | None = 24) -> FeatureDrift:
        day = {"x": bins.count(rng.normal(level, size=1000))}
        return drift(baseline, day, DriftPolicy(), hours=hours).features[0]

    assert of(0.0).verdict is Verdict.STABLE
    assert of(3.0).verdict is Verdict.INCONCLUSIVE
    assert of(-6.0).verdict is Verdict.RETRAIN


def test_a_day_that_moved_no_further_than_one_of_training_cannot_tell() -> None:
    rng = np.random.default_rng(5)
    plain = trained_on(rng.normal(size=60_000), 60)
    known = DesignEffect(rows=2.0, rows_per_day=1000.0, worst_psi=2.0)
    baseline = replace(plain, design_effects={"x": known})
    day = {"x": plain.features["x"].bins.count(rng.normal(0.8, size=1000))}
    (found,) = drift(baseline, day, DriftPolicy(), hours=24).features
    assert (found.verdict, found.reason) == (
        Verdict.INCONCLUSIVE,
        "over a limit, but a day of the training set had 2.000",
    )
    (of_a_week,) = drift(baseline, day, DriftPolicy(), hours=168).features
    assert of_a_week.verdict is Verdict.RETRAIN  # a week is held against no single day


@pytest.mark.parametrize("shares", [np.full(10, 0.1), 1 / np.arange(1, 11), np.array([0.5, 0.5])])
@pytest.mark.parametrize("rows", [30, 50, 100])
def test_the_level_for_few_rows_makes_up_for_the_chi_squared(shares: npt.NDArray[np.float64], rows: int) -> None:
    rng, alpha = np.random.default_rng(rows), 0.01
    shares = shares / shares.sum()
    reference = np.round(shares * 100_000).astype(np.int64)
    noise = psi_noise(len(shares), 100_000, rows, alpha=alpha * (rows / 200) ** 2)
    over = sum(psi_of_groups(reference, counts) > noise for counts in rng.multinomial(rows, shares, size=20_000))
    assert over <= alpha * 20_000
