"""The interval of a difference of two rates, against published values."""

import pytest

from mlops_dagster.statistics import difference_interval


@pytest.mark.parametrize(
    ("one", "n", "other", "other_n", "interval"),
    [  # Newcombe 1998, table II, method 10
        (56, 70, 48, 80, (0.0524, 0.3339)),
        (9, 10, 3, 10, (0.1705, 0.8090)),
        (6, 7, 2, 7, (0.0582, 0.8062)),
        (5, 56, 0, 29, (-0.0381, 0.1926)),
        (0, 10, 0, 20, (-0.1611, 0.2775)),
        (10, 10, 0, 20, (0.6791, 1.0)),
    ],
)
def test_published_intervals(one: int, n: int, other: int, other_n: int, interval: tuple[float, float]) -> None:
    assert difference_interval(one, n, other, other_n) == pytest.approx(interval, abs=5e-5)
