"""The parts of a change of a rate: by hand, and how often the intervals hold."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from mlops_dagster.errors import InvalidInputError
from mlops_dagster.statistics import GroupSample, rate_parts

GROUPS = st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), min_size=3, max_size=3)


def values(before: GroupSample, after: GroupSample) -> list[float]:
    return [part.value for part in rate_parts(before, after)]


def test_by_hand() -> None:
    # shares 0.8, 0.2 and then 0.5, 0.5; rates 0.1, 0.2 and then 0.12, 0.3
    before, after = GroupSample([800, 200], [80, 40]), GroupSample([500, 500], [60, 150])
    mix = -0.3 * (0.1 + 0.12) / 2 + 0.3 * (0.2 + 0.3) / 2
    rate = 0.65 * 0.02 + 0.35 * 0.1
    # the second group gained and lost 0.10; as much as the first, 0.02, is not put down to that
    assert values(before, after) == pytest.approx([0.09, mix, rate, mix + 0.35 * (0.1 - 0.02)])
    # the change of the rate needs no groups: the difference of two binomials, with a row more of either kind a group
    half = stats.norm.ppf(0.975) * (
        np.sqrt(
            (0.8 * 81 / 802 * 721 / 802 + 0.2 * 41 / 202 * 161 / 202 + 0.8 * 0.2 * 0.1**2) / 1000
            + (0.5 * 61 / 502 * 441 / 502 + 0.5 * 151 / 502 * 351 / 502 + 0.25 * 0.18**2) / 1000
        )
    )
    change = rate_parts(before, after).change
    assert (change.high - change.value, change.value - change.low) == pytest.approx((half, half))
    # four rows that are one: intervals twice as wide
    wide = rate_parts(GroupSample(*before[:2], 4.0, 4.0), GroupSample(*after[:2], 4.0, 4.0))
    assert wide.change.high - wide.change.low == pytest.approx(4 * half)
    # what four rows of a day share in all groups alike makes the change less sure, and the shift not
    days = rate_parts(*(GroupSample(*side[:2], 4.0, 1.0, 1.0) for side in (before, after)))
    alike = 3 * (121 / 1002 * 881 / 1002 + 211 / 1002 * 791 / 1002) / 1000
    assert (days.change.high - days.change.value) ** 2 == pytest.approx(half**2 + stats.norm.ppf(0.975) ** 2 * alike)
    assert days.shift == pytest.approx(rate_parts(before, after).shift)
    # where others became better, what gained is not charged with it
    assert values(before, GroupSample([500, 500], [20, 100]))[3] == pytest.approx(-0.3 * 0.07 + 0.3 * 0.2)


def test_groups_that_one_side_does_not_know() -> None:
    """All come where none was: how they are answered is what their coming costs. None of it is a change of a group."""
    change, mix, rate, shift = values(GroupSample([1000, 0], [100, 0]), GroupSample([0, 500], [0, 250]))
    assert (change, mix, rate, shift) == pytest.approx((0.4, 0.4, 0.0, 0.4))


@given(GROUPS, GROUPS)
def test_the_parts_add_up(before: list[tuple[int, int]], after: list[tuple[int, int]]) -> None:
    sides = [GroupSample([n + k for n, k in side], [k for _, k in side]) for side in (before, after)]
    if not all(sum(side.rows) for side in sides):
        with pytest.raises(InvalidInputError):
            rate_parts(*sides)
        return
    found = rate_parts(*sides)
    one, other = (sum(side.bad) / sum(side.rows) for side in sides)
    assert found.change.value == pytest.approx(other - one, abs=1e-12)
    assert found.mix.value + found.rate.value == pytest.approx(found.change.value, abs=1e-12)
    assert all(part.low <= part.value <= part.high for part in found)
    back = rate_parts(sides[1], sides[0])
    assert (back.mix.value, back.rate.value) == pytest.approx((-found.mix.value, -found.rate.value), abs=1e-12)


@pytest.mark.parametrize(("q", "s"), [([0.35, 0.2, 0.45], [0.1, 0.1, 0.3]), ([0.1, 0.3, 0.6], [0.15, 0.2, 0.35])])
def test_the_intervals_hold(q: list[float], s: list[float]) -> None:
    """19 times in 20, also with days that have their own rate and their own mix: half the rows repeat another."""
    rng = np.random.default_rng(1)
    p, r = [0.5, 0.3, 0.2], [0.05, 0.1, 0.2]
    exact = values(
        *(
            GroupSample([round(1e6 * x) for x in a], [round(1e6 * x * y) for x, y in zip(a, b, strict=True)])
            for a, b in ((p, r), (q, s))
        )
    )
    inside = np.zeros(4)
    for _ in range(400):
        sides = []
        for share, rate, rows in ((p, r, 1500), (q, s, 800)):
            n = rng.multinomial(rows // 2, share)
            k = rng.binomial(n, rate)
            sides.append(GroupSample((2 * n).tolist(), (2 * k).tolist(), 2.0, 2.0))
        inside += [part.low <= true <= part.high for part, true in zip(rate_parts(*sides), exact, strict=True)]
    assert (inside >= stats.binom.ppf(0.002, 400, 0.95)).all(), inside


def test_what_does_not_compare_is_refused() -> None:
    good = GroupSample([10, 10], [1, 2])
    for bad in (
        GroupSample([10], [1]),
        GroupSample([10, 10], [11, 0]),
        GroupSample([0, 0], [0, 0]),
        GroupSample([5, 5], [1, 1], 0.5),
    ):
        with pytest.raises(InvalidInputError):
            rate_parts(good, bad)
