"""Quality measures of a classifier: accuracy and F1."""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mlops_dagster.errors import InvalidInputError
from mlops_dagster.frames.values import text_of
from mlops_dagster.statistics.bins.columns import is_missing


@dataclass(frozen=True, slots=True)
class ClassScores:
    """One class against all others: shares between 0 and 1, and `support`, the count of its true rows.

    Precision is 0 if the class was never predicted, recall if it was never true.
    """

    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True, slots=True)
class ClassificationMetrics:
    """The quality of a classifier as shares between 0 and 1. With one label a row, micro-F1 is the accuracy.

    `macro_f1` is the plain mean of F1 over the classes that were true or predicted at least once, so that a rare class
    weighs as much as a frequent one; if the model's classes are known, over those only.
    """

    accuracy: float
    micro_f1: float
    macro_f1: float
    per_class: dict[str, ClassScores]


def classification_metrics(y_true: npt.ArrayLike, y_pred: npt.ArrayLike) -> ClassificationMetrics:
    """Return the metrics of predictions against the truth, row by row. Labels are named by `text_of`.

    Raises InvalidInputError for no rows, unequal lengths, missing labels, and fractions.

    >>> metrics = classification_metrics(["late", "late", "early", "early"], ["late", "early", "early", "early"])
    >>> metrics.accuracy, round(metrics.macro_f1, 4)
    (0.75, 0.7333)
    >>> metrics.per_class["late"]
    ClassScores(precision=1.0, recall=0.5, f1=0.6666666666666666, support=2)
    """
    return metrics_from_confusion(confusion_counts(y_true, y_pred))


def confusion_counts(y_true: npt.ArrayLike, y_pred: npt.ArrayLike) -> dict[tuple[str, str], int]:
    """Return the count of each (true, predicted) pair. Labels are named by `text_of`.

    Raises InvalidInputError for unequal lengths, missing labels, and fractions.

    >>> confusion_counts(["late", "late", "early"], ["late", "early", "early"])
    {('late', 'late'): 1, ('late', 'early'): 1, ('early', 'early'): 1}
    """
    true, predicted = np.asarray(y_true), np.asarray(y_pred)
    if true.ndim != 1 or true.shape != predicted.shape:
        raise InvalidInputError(f"each row needs a true and a predicted label, got {true.shape} and {predicted.shape}")
    pairs = Counter(zip(true.tolist(), predicted.tolist(), strict=True))
    if any(is_missing(label) for pair in pairs for label in pair):
        raise InvalidInputError("some labels are missing; leave out the rows that have no truth yet")
    confusion: Counter[tuple[str, str]] = Counter()
    for (truth, prediction), count in pairs.items():
        confusion[text_of(truth), text_of(prediction)] += count
    return dict(confusion)


def metrics_from_confusion(
    confusion: Mapping[tuple[str, str], int], classes: Collection[str] | None = None
) -> ClassificationMetrics:
    """Return the metrics from the counts of (true, predicted) pairs. Counts of several hours can be added first.

    `classes` are those of the model. A truth that is not among them counts as a wrong answer, but has no F1, which
    could only be 0: one misspelt label in ten thousand would take a third off the macro-F1 of two classes.

    Raises InvalidInputError for no rows at all, or a negative count.

    >>> metrics_from_confusion({("late", "late"): 9, ("late", "on_time"): 1}).accuracy
    0.9
    >>> seen = {("late", "late"): 9, ("on_time", "on_time"): 9, ("Late", "late"): 1}
    >>> [round(metrics_from_confusion(seen, classes).macro_f1, 3) for classes in (None, ("late", "on_time"))]
    [0.649, 0.974]
    """
    total = sum(confusion.values())
    if total == 0 or min(confusion.values()) < 0:
        raise InvalidInputError(f"metrics need at least one row and no negative count, got {dict(confusion)}")
    true: Counter[str] = Counter()
    predicted: Counter[str] = Counter()
    hits: Counter[str] = Counter()
    for (truth, prediction), count in confusion.items():
        true[truth] += count
        predicted[prediction] += count
        if truth == prediction:
            hits[truth] += count
    per_class = {
        label: ClassScores(
            precision=hits[label] / predicted[label] if predicted[label] else 0.0,
            recall=hits[label] / true[label] if true[label] else 0.0,
            f1=2 * hits[label] / (true[label] + predicted[label]),
            support=true[label],
        )
        for label in sorted(label for label, count in (true + predicted).items() if count)
    }
    accuracy = hits.total() / total
    known = [scores.f1 for label, scores in per_class.items() if classes is None or label in classes]
    macro_f1 = sum(known) / len(known) if known else 0.0
    return ClassificationMetrics(accuracy=accuracy, micro_f1=accuracy, macro_f1=macro_f1, per_class=per_class)
