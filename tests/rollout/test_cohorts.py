"""Up to when labels are complete: never too early, never lost by more labels, and a few lost ones do no harm."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from mlops_dagster.predictions import COHORT, Cohort
from mlops_dagster.rollout.claims.cohorts import complete_until

NINE = datetime(2013, 3, 1, 9, tzinfo=UTC)
Arm = Mapping[datetime, Cohort]


def at(number: int) -> datetime:
    return NINE + number * COHORT


def arm(labelled: list[int], units: int = 100) -> dict[datetime, Cohort]:
    return {at(number): Cohort(units, of) for number, of in enumerate(labelled)}


@st.composite
def an_arm(draw: st.DrawFn) -> dict[datetime, Cohort]:
    """Up to 40 cohorts, with gaps, of which most have nearly all of their labels."""
    found = {}
    for number in draw(st.sets(st.integers(0, 40), max_size=25)):
        units = draw(st.integers(0, 30))
        missing = draw(st.sampled_from([0, 0, 0, 1, 2, 30]))
        found[at(number)] = Cohort(units, max(units - missing, 0))
    return found


arms = st.lists(an_arm(), min_size=1, max_size=2)
shares = st.sampled_from([0.6, 0.9, 0.95, 1.0])
befores = st.integers(0, 45).map(lambda number: at(number) + timedelta(minutes=number % 10))


def is_complete(arm: Arm, end: datetime, share: float) -> bool:
    """As it is said: of all before the end, and of the last 10, 20, 40... minutes."""
    windows = [timedelta(days=99), *(COHORT * 2**n for n in range(10))]
    sums = [
        (sum(arm[begin].units for begin in its), sum(arm[begin].labelled for begin in its))
        for window in windows
        for its in [[begin for begin in arm if end - window <= begin < end]]
    ]
    has_any = any(begin < end for begin in arm)
    return has_any and all(labelled >= share * units for units, labelled in sums)


@given(arms, shares, befores)
def test_it_is_the_latest_end_at_which_nearly_all_labels_are_known_in_every_window(
    arms: list[Arm], share: float, before: datetime
) -> None:
    ends = [end for end in (at(number) for number in range(42)) if end <= before]
    begun = {begin + COHORT for arm in arms for begin in arm}
    possible = [end for end in ends if end in begun and all(is_complete(arm, end, share) for arm in arms)]
    assert complete_until(arms, share, before) == max(possible, default=None)


@given(arms, shares, befores, st.data())
def test_more_labels_never_move_it_back(arms: list[Arm], share: float, before: datetime, data: st.DataObject) -> None:
    more = [
        {begin: Cohort(its.units, data.draw(st.integers(its.labelled, its.units))) for begin, its in arm.items()}
        for arm in arms
    ]
    was, now = complete_until(arms, share, before), complete_until(more, share, before)
    assert was is None or (now is not None and now >= was)


@given(an_arm(), shares, befores)
def test_an_arm_without_labels_or_without_predictions_holds_up_all(arm: Arm, share: float, before: datetime) -> None:
    silent = {begin: Cohort(10, 0) for begin in arm}
    assert complete_until([arm, silent], share, before) is None
    assert complete_until([arm, {}], share, before) is None
    assert complete_until([], share, before) is None


def test_a_cohort_that_is_lost_for_ever_is_passed_once_it_is_a_small_part_of_what_followed() -> None:
    """An hour of labels was lost: nothing new counts for ten hours, then everything does."""
    labelled = [100] * 200 + [0] * 6 + [100] * 200
    ends = {n: complete_until([arm(labelled[:n])], 0.95, at(n)) for n in range(200, len(labelled) + 1)}
    assert ends[206] == ends[230] == at(200)
    assert ends[len(labelled)] == at(len(labelled))
    back = next(n for n in range(206, len(labelled) + 1) if ends[n] != at(200))
    assert 6 * 8 < back - 206 < 6 * 20


def test_quick_labels_of_the_last_hours_wait_for_the_slow_ones() -> None:
    """A third comes at once, the rest after five hours: what is complete ends five hours ago."""
    labelled = [100] * 100 + [33] * 30
    assert complete_until([arm(labelled)], 0.95, at(130)) == at(100)
    assert complete_until([arm(labelled, units=1000)], 0.95, at(130)) is None


def test_what_is_too_young_does_not_count_though_it_has_its_labels() -> None:
    assert complete_until([arm([100] * 6)], 0.95, at(4) + timedelta(minutes=9)) == at(4)
    assert complete_until([arm([100] * 6)], 0.95, NINE) is None
