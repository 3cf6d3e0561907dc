"""Expected performance: exact on the rows it was calibrated on, and as sure as it may be."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops_dagster.errors import InvalidInputError
from mlops_dagster.statistics import expected_performance, metrics_from_confusion

CLASSES = ("a", "b", "c")


@given(st.lists(st.tuples(st.integers(0, 2), st.lists(st.integers(0, 40), min_size=3, max_size=3)), min_size=1))
def test_of_the_rows_of_the_evaluation_it_is_what_was_measured(brackets: list[tuple[int, list[int]]]) -> None:
    brackets = [each for each in brackets if sum(each[1])] or [(0, [1, 0, 0])]
    said, truths = [each[0] for each in brackets], [each[1] for each in brackets]
    confusion: dict[tuple[str, str], int] = {}
    for prediction, counts in brackets:
        for truth, n in enumerate(counts):
            pair = CLASSES[truth], CLASSES[prediction]
            confusion[pair] = confusion.get(pair, 0) + n
    measured = metrics_from_confusion(confusion)
    found = expected_performance([sum(each) for each in truths], said, truths)
    assert found.accuracy.value == pytest.approx(measured.accuracy)
    assert found.macro_f1.value == pytest.approx(measured.macro_f1)
    for each in found:
        assert each.interval is not None
        assert 0 <= each.interval[0] <= each.value + 1e-9
        assert each.value - 1e-9 <= each.interval[1] <= 1


@pytest.mark.parametrize("shared", [1, 10])
def test_the_interval_holds_what_is_measured_in_nineteen_of_twenty_windows(shared: int) -> None:
    """Brackets estimated from few rows, and windows of few: with both errors, and rows of which `shared` are alike."""
    rng = np.random.default_rng(shared)
    late, seen, rows = np.array([0.1, 0.4, 0.7, 0.95]), np.array([800, 200, 200, 400]), np.array([300, 300, 300, 100])
    said, within = np.array([0, 0, 1, 1]), np.zeros(2)
    for _ in range(1000):
        then = rng.binomial(seen // shared, late) * shared
        now = rng.binomial(rows // shared, late) * shared
        found = expected_performance(rows, said, np.stack([seen - then, then], axis=1), worth=(shared, shared))
        confusion = {(truth, prediction): 0 for truth in "ok" for prediction in "ok"}
        for bracket, prediction in enumerate("ookk"):
            confusion["k", prediction] += int(now[bracket])
            confusion["o", prediction] += int(rows[bracket] - now[bracket])
        measured = metrics_from_confusion(confusion)
        for number, (value, each) in enumerate(zip((measured.accuracy, measured.macro_f1), found, strict=True)):
            assert each.interval is not None
            within[number] += each.interval[0] <= value <= each.interval[1]
    assert (within >= 930).all()
    assert (within <= 985).all()


def test_without_knowing_what_rows_are_worth_there_is_no_interval() -> None:
    found = expected_performance([10], [0], [[9, 1]], worth=None)
    assert (found.accuracy.interval, found.macro_f1.interval) == (None, None)


@pytest.mark.parametrize(
    ("rows", "truths"), [([0, 0], [[1, 0], [0, 1]]), ([1, 1], [[1, 0], [0, 0]]), ([-1, 2], [[1, 0]] * 2)]
)
def test_what_nothing_is_known_of_is_refused(rows: list[int], truths: list[list[int]]) -> None:
    with pytest.raises(InvalidInputError, match="expected performance"):
        expected_performance(rows, [0, 1], truths)
