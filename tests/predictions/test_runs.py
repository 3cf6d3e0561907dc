import itertools

from hypothesis import given
from hypothesis import strategies as st

from mlops_dagster.predictions.intervals import IntervalSet

numbers = st.sets(st.integers(1, 60))


def expanded(runs: IntervalSet) -> set[int]:
    pairs = list(runs)
    assert all(first <= last for first, last in pairs)
    assert all(before[1] + 1 < after[0] for before, after in itertools.pairwise(pairs))
    return {number for first, last in pairs for number in range(first, last + 1)}


@given(numbers, numbers)
def test_runs_are_sets(left, right):
    a, b = IntervalSet.of(sorted(left)), IntervalSet.of(list(right))
    assert (expanded(a), len(a)) == (left, len(left))
    assert expanded(a | b) == left | right
    assert expanded(a & b) == left & right
    assert expanded(a - b) == left - right
    assert expanded(IntervalSet.from_pairs([*b, *a])) == left | right


def test_between_has_both_ends():
    assert list(IntervalSet.between(1, 3)) == [(1, 3)]
    assert list(IntervalSet.between(1, 0)) == []
