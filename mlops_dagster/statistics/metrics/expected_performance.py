"""Expected performance: the quality of answers without labels, if scores mean the same as in the evaluation."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from mlops_dagster.errors import InvalidInputError

_Z = 1.959963984540054  # the 97.5 % quantile of the normal distribution


class Expected(NamedTuple):
    """A share, and its 95 % interval; None if the design effect of the rows is unknown."""

    value: float
    interval: tuple[float, float] | None


class ExpectedPerformance(NamedTuple):
    """The expected accuracy, and the macro-F1 of the classes that were predicted or expected, of the same rows."""

    accuracy: Expected
    macro_f1: Expected


def expected_performance(
    rows: npt.ArrayLike,
    predicted: npt.ArrayLike,
    truths: npt.ArrayLike,
    *,
    worth: tuple[float, float] | None = (1.0, 1.0),
) -> ExpectedPerformance:
    """Return the expected performance of answers, from the truths of similar answers in the evaluation.

    Answers are counted in G brackets: those of one predicted class with scores in one interval. `rows` (G) are the
    answers without labels, `predicted` (G) the index of the class that a bracket predicts, and `truths` (G, K) the
    counts of each of K true classes in the evaluation, at least one in each bracket. With w_g the share of bracket g of
    the rows, p the class it predicts and P_g(t) the share of the truth t in it,

        C(p, t) = sum over brackets g of p of  w_g P_g(t)

    is the expected confusion, from which accuracy and F1 follow. It is right as long as P(truth | score) is unchanged:
    if other rows come (covariate shift), but not if the same rows have other truths (concept drift).

    The interval is for the values that will be measured on these rows, by the delta method: P_g was estimated from few
    rows, and the truths of the new ones will differ from their expectation. `worth` is the number of rows that are
    worth one, in the evaluation and among the new ones. Raises InvalidInputError for no rows, or a bracket with rows
    and without truths.

    >>> found = expected_performance([90, 10], predicted=[0, 0], truths=[[95, 5], [60, 40]])
    >>> round(found.accuracy.value, 3), [round(bound, 2) for bound in found.accuracy.interval]
    (0.915, [0.85, 0.98])

    Sources: J. Bialek et al., We Don't Need No Labels, arXiv 2401.08348 (confidence-based performance estimation, the
    CBPE of NannyML); B. Zadrozny, C. Elkan, ICML 2001 (calibration by bins).
    """
    n, said, seen = np.asarray(rows, dtype=np.float64), np.asarray(predicted), np.asarray(truths, dtype=np.float64)
    known = seen.sum(axis=1)
    if n.sum() <= 0 or (n < 0).any() or (known[n > 0] < 1).any():
        raise InvalidInputError("expected performance is of one row at least, in brackets that the evaluation had")
    n, said, seen, known = n[n > 0], said[n > 0], seen[n > 0], known[n > 0]
    share, right = n / n.sum(), np.arange(seen.shape[1]) == said[:, None]
    chances = seen / known[:, None]
    spread = _spread(seen, said, share, known, n.sum(), worth)

    truth = share @ chances
    hits = share @ (chances * right)
    answers = np.bincount(said, weights=share, minlength=seen.shape[1])
    there = (truth + answers) > 0
    both = np.where(there, truth + answers, 1.0)
    slope = (right * 2 / both - 2 * hits / both**2) * there / there.sum()
    return ExpectedPerformance(
        accuracy=_expected(float(hits.sum()), right.astype(np.float64), spread),
        macro_f1=_expected(float(np.sum(2 * hits / both)) / int(there.sum()), slope, spread),
    )


class _Spread(NamedTuple):
    """The smoothed chances of each bracket, and the factor on the variance of one of its rows."""

    chances: npt.NDArray[np.float64]
    scale: npt.NDArray[np.float64]


def _spread(
    seen: npt.NDArray[np.float64],
    said: npt.NDArray[np.intp],
    share: npt.NDArray[np.float64],
    known: npt.NDArray[np.float64],
    total: float,
    worth: tuple[float, float] | None,
) -> _Spread | None:
    """Return the spread, each bracket smoothed by one row more like those of its class; None if `worth` is None."""
    if worth is None:
        return None
    classes = seen.shape[1]
    of_class = np.zeros((classes, classes))
    np.add.at(of_class, said, seen)
    usual = (of_class + 1 / classes) / (of_class.sum(axis=1, keepdims=True) + 1)
    return _Spread((seen + usual[said]) / (known[:, None] + 1), share**2 * worth[0] / known + share * worth[1] / total)


def _expected(value: float, slope: npt.NDArray[np.float64], spread: _Spread | None) -> Expected:
    """Return the value with its interval; `slope` is its derivative by each chance, for a share of 1."""
    if spread is None:
        return Expected(value, None)
    mean = np.sum(spread.chances * slope, axis=1)
    variance = np.sum(spread.chances * slope**2, axis=1) - mean**2
    half = _Z * float(np.sqrt(np.sum(spread.scale * variance)))
    return Expected(value, (max(value - half, 0.0), min(value + half, 1.0)))
