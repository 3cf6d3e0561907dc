"""Which days a champion is judged by."""

from datetime import UTC, date, datetime, timedelta

import pytest

from mlops_dagster.predictions import Cohort
from mlops_dagster.rollout import RolloutPolicy
from mlops_dagster.rollout.floor.matured import day_begins, matured_days

FIRST = date(2013, 3, 1)
NOON = datetime(2013, 5, 1, 12, tzinfo=UTC)


def days(*labelled: int) -> dict[date, Cohort]:
    return {FIRST + timedelta(days=number): Cohort(100, labels) for number, labels in enumerate(labelled)}


@pytest.mark.parametrize(
    ("labelled", "judged"),
    [
        ((100, 95, 94, 0), [1, 2]),
        ((0, 0, 95), [3]),  # those before never get theirs
        ((0, 0, 0), []),
    ],
)
def test_a_day_counts_once_its_labels_are_complete_however_old(labelled: tuple[int, ...], judged: list[int]) -> None:
    assert [day.day for day in matured_days(days(*labelled), RolloutPolicy(), NOON)] == judged


def test_a_day_without_answers_or_that_is_not_over_is_none() -> None:
    empty = {FIRST: Cohort(0, 0)}
    assert matured_days(empty, RolloutPolicy(), NOON) == []
    assert matured_days(days(100), RolloutPolicy(), day_begins(FIRST) + timedelta(hours=23)) == []


def test_labels_of_some_answers_count_once_they_have_had_their_time() -> None:
    sampled = RolloutPolicy(labels="sampled", label_hours=24)
    begun = day_begins(FIRST)
    assert matured_days(days(5), sampled, begun + timedelta(hours=47)) == []
    assert matured_days(days(5), sampled, begun + timedelta(hours=48)) == [FIRST]
