"""Rows of one day share its weather: without it being counted, days that favour either version prove what is not so."""

from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt
import pytest

from flights import trainer as flights
from mlops_dagster.statistics import difference_design_effect, paired_e_value

REPLAYS, EVALUATED = 150, 14
FEBRUARY, MARCH, MAY = (datetime(2013, month, 1, tzinfo=UTC) for month in (2, 3, 5))


@pytest.fixture(scope="module")
def days() -> npt.NDArray[np.int64]:
    """(days, 3) wins, losses and ties by day of a challenger with too few trees, beside the champion."""
    names = list(flights.SCHEMA.names)
    fitted, judged = flights.training_set(FEBRUARY, MARCH), flights.training_set(MARCH, MAY)
    wrong = [
        flights.estimator()
        .set_params(histgradientboostingclassifier__max_iter=trees)
        .fit(fitted[names], fitted["label"])
        .predict(judged[names])
        != judged["label"].to_numpy()
        for trees in (5, 40)
    ]
    difference = wrong[0].astype(np.int64) - wrong[1]
    day = np.unique(judged["event_time"].dt.floor("D").to_numpy(), return_inverse=True)[1]
    return np.stack([np.bincount(day[difference == each], minlength=day.max() + 1) for each in (-1, 1, 0)], axis=-1)


@pytest.fixture(scope="module")
def replays(days: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Days in random order, where a coin for each day says which version is the challenger: no true difference."""
    rng = np.random.default_rng(8)
    order = rng.permuted(np.tile(np.arange(len(days)), (REPLAYS, 1)), axis=1)
    coin = rng.random((REPLAYS, len(days), 1)) < 0.5
    return np.where(coin, days[order][..., [1, 0, 2]], days[order])


def superior(replay: npt.NDArray[np.int64], *, shared: bool) -> bool:
    effect = difference_design_effect(replay[:EVALUATED].tolist())
    assert effect is not None
    r = effect.of_many_blocks if shared else 1.0
    return any(
        paired_e_value(wins, losses, ties, margin=0, alternative="not_worse", rows_per_observation=r) >= 20
        for wins, losses, ties in np.cumsum(replay[EVALUATED:], axis=0).tolist()
    )


def test_no_more_false_claims_than_promised_and_without_it_many(replays: npt.NDArray[np.int64]) -> None:
    without, with_it = (np.mean([superior(each, shared=shared) for each in replays]) for shared in (False, True))
    assert without > 0.3
    assert with_it <= 0.05
