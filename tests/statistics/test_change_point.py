"""A change within one sample is told from days that differ."""

import numpy as np
import numpy.typing as npt
import pytest

from mlops_dagster.statistics import change_point

DAYS, ROWS = 40, 60


def groups(rng: np.random.Generator, correlation: float, shift: float = 0.0) -> npt.NDArray[np.int64]:
    """Deciles of normal values of which those of a day share so much; the last fifteen days are shifted."""
    day = np.repeat(np.arange(DAYS), ROWS)
    shared = np.sqrt(correlation) * rng.normal(size=DAYS)[day]
    values = shared + np.sqrt(1 - correlation) * rng.normal(size=len(day)) + shift * (day >= 25)
    return np.searchsorted(np.quantile(values, np.arange(1, 10) / 10), values).astype(np.int64)


BLOCKS = np.repeat(np.arange(DAYS), ROWS)


@pytest.mark.parametrize("correlation", [0.0, 0.2])
def test_days_that_differ_are_no_change(correlation: float) -> None:
    rng = np.random.default_rng(3)
    assert sum(change_point(groups(rng, correlation), BLOCKS) is not None for _ in range(40)) <= 2


@pytest.mark.parametrize(("correlation", "shift", "near"), [(0.0, 0.8, 1), (0.2, 1.6, 2)])
def test_a_change_is_found_where_it_was(correlation: float, shift: float, near: int) -> None:
    rng = np.random.default_rng(4)
    found = [change_point(groups(rng, correlation, shift), BLOCKS) for _ in range(10)]
    assert all(each is not None and abs(each.block - 25) <= near and each.psi > each.noise for each in found)


def test_a_change_of_no_size_is_none_however_many_rows_there_are() -> None:
    rng = np.random.default_rng(5)
    day = np.repeat(np.arange(DAYS), 5000)
    assert change_point((rng.random(len(day)) < np.where(day < 25, 0.5, 0.55)).astype(np.int64), day) is None


@pytest.mark.parametrize("days", [0, 1, 13])
def test_too_few_days_say_nothing(days: int) -> None:
    day = np.repeat(np.arange(days), 50)
    assert change_point((day >= days // 2).astype(np.int64), day) is None


def test_days_without_rows_count_for_none() -> None:
    day = np.concatenate([np.repeat(np.arange(10), 50), np.repeat(np.arange(90, 100), 50)])
    found = change_point(np.arange(len(day)) % 2 + 2 * (day >= 50), day)
    assert found is not None
    assert found.block == 90
