"""The time from which no request reaches a version that was rolled back."""

from datetime import UTC, datetime, timedelta

import pytest

from mlops_dagster.board.snapshot.sections.rollback import zero_traffic_at
from mlops_dagster.registry import Acknowledgement

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def serves(process: str, epoch: int, second: int) -> Acknowledgement:
    return Acknowledgement(process, epoch, NOON + timedelta(seconds=second))


BEFORE = (serves("a", 6, 0), serves("b", 6, 0), serves("c", 5, 0))


@pytest.mark.parametrize(
    ("acknowledged", "there", "second"),
    [
        ((*BEFORE, serves("a", 7, 1), serves("b", 7, 2), serves("c", 7, 3)), "abc", 3),
        ((*BEFORE, serves("a", 7, 1), serves("b", 8, 2), serves("c", 7, 1), serves("a", 8, 9)), "abc", 2),
        ((*BEFORE, serves("a", 7, 1), serves("b", 7, 2)), "abc", None),  # c still serves the version
        ((*BEFORE, serves("a", 7, 1), serves("b", 7, 2)), "ab", 2),  # c has ended
        ((*BEFORE, serves("a", 7, 1), serves("b", 7, 2), serves("d", 7, 60)), "abd", 2),  # d never had it
        ((serves("d", 7, 60),), "d", None),
    ],
)
def test_every_worker_that_had_the_version_counts(
    acknowledged: tuple[Acknowledgement, ...], there: str, second: int | None
) -> None:
    expected = None if second is None else NOON + timedelta(seconds=second)
    assert zero_traffic_at(7, acknowledged, set(there)) == expected
