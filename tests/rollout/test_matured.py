"""Which days a champion is judged by."""

import re
from datetime import UTC, date, datetime, timedelta

import pytest

from mlops_dagster.predictions import Cohort
from mlops_dagster.rollout import RolloutPolicy
from mlops_dagster.rollout.floor.matured import day_begins, matured_days, too_few_labels

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


@pytest.mark.parametrize(
    ("labelled", "policy", "late", "said"),
    [
        ((100, 62, 60, 61), RolloutPolicy(), 0, "labels of 60% .* of 2013-03-02 to 2013-03-04 .*min_label_share: 0.59"),
        ((0, 0, 0), RolloutPolicy(), 0, "labels of 0% .*labels: sampled` if they are drawn at random"),
        ((60, 60, 60, 95), RolloutPolicy(), 0, None),  # those of the last one have come
        ((60, 60), RolloutPolicy(), 0, None),
        ((60, 60, 60), RolloutPolicy(min_label_share=0.59), 0, None),
        ((0, 0, 0), RolloutPolicy(), 24 * 60, None),  # they come later, says the team
        ((5, 5, 5), RolloutPolicy(labels="sampled", label_hours=24), 0, None),
    ],
)
def test_of_whose_answers_too_few_labels_come_is_told_with_what_to_write(
    labelled: tuple[int, ...], policy: RolloutPolicy, late: float, said: str | None
) -> None:
    found = too_few_labels(days(*labelled), policy, NOON, timedelta(hours=late))
    assert (found is None) if said is None else re.search(said, found or "")
    soon = day_begins(FIRST) + timedelta(days=5)
    assert too_few_labels(days(*labelled), policy, soon, timedelta()) is None, "nobody is told before three days"
