"""Classification: one of some named classes, with probabilities; an answer is right or wrong."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence, Set
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal, Self, cast

import numpy as np
from pydantic import ValidationInfo, field_validator, model_validator

from mlops_dagster.documents.strict import STORED
from mlops_dagster.frames.values import text_of
from mlops_dagster.names import check_class_name
from mlops_dagster.statistics import (
    Bins,
    CategoricalBins,
    NumericBins,
    confusion_counts,
    macro_f1_interval,
    metrics_from_confusion,
    wilson_interval,
)
from mlops_dagster.tasks.answers import Ask, Numbers, Output
from mlops_dagster.tasks.calibration import Calibration, Places
from mlops_dagster.tasks.classification.acceptance import check_classifier, for_classes_by_name
from mlops_dagster.tasks.classification.asking import way_to_ask
from mlops_dagster.tasks.classification.estimate import calibrate, expected_measures
from mlops_dagster.tasks.classification.fairness import DEMOGRAPHIC_PARITY, EQUALIZED_ODDS, class_rates
from mlops_dagster.tasks.classification.onnx_classifier import OnnxClassifier
from mlops_dagster.tasks.classification.outlook import MacroF1Outlook
from mlops_dagster.tasks.classification.probabilities import ProbabilityReader
from mlops_dagster.tasks.group_rates import GroupRates
from mlops_dagster.tasks.onnx import OnnxModel
from mlops_dagster.tasks.quality_limits import FirstLimits, Least, QualityLimits
from mlops_dagster.tasks.task import Column, Measure, Sums, Task

if TYPE_CHECKING:
    import pandas as pd

_RARE = tuple(digit * 10.0**-zeros for zeros in (5, 4, 3) for digit in (1, 2, 5) if digit * 10.0**-zeros < 1 / 200)

SCORE_BINS: Final = NumericBins(
    edges=(*_RARE, *(step / 200 for step in range(1, 200)), *(1 - share for share in reversed(_RARE)))
)
"""The bins of every score: probabilities, so the same for all models and versions; finer where rare events are."""


_GATE_ADVICE: Final = (
    "set `gates.min_micro_f1` of this model to the least value that is still useful: over the share of the commonest "
    "class, under the interval of its cards"
)

_NO_AND_YES: Final = (["0", "1"], ["False", "True"])
_OVER_COMMONEST: Final = 0.05
"""The first gate lies this share of the way from the commonest class's share to 1."""

NO_CLASS: Final = ""
"""The prediction of a version that failed on a row: the true class is missed, and no other is predicted."""


class Classification(Task):
    """The classes that a model tells apart, in the order of its probabilities.

    Classes may be given as texts, whole numbers or booleans, and become texts: `classes=(0, 1)` means "0" and "1".

    The score of a prediction is the probability of the last class when there are two (the class in question, such as
    late flights, fraud or churn), else of the predicted class.

    >>> Classification(classes=("on_time", "late")).loss("late", "on_time")
    1.0
    """

    kind: Literal["classification"] = "classification"
    classes: tuple[str, ...]

    merit: ClassVar[str] = "accuracy"
    truth_noun: ClassVar[str] = "class"
    headline: ClassVar[str] = "macro_f1"
    required: ClassVar[tuple[str, ...]] = ("micro_f1", "macro_f1", "accuracy")
    headings: ClassVar[Mapping[str, str]] = {"accuracy": "accuracy", "macro_f1": "macro-F1"}
    gap_headings: ClassVar[Mapping[str, str]] = {
        DEMOGRAPHIC_PARITY: "selection rate (demographic parity)",
        EQUALIZED_ODDS: "true or false positive rate (equalized odds)",
    }

    @field_validator("classes", mode="before")
    @classmethod
    def _classes_are_texts(cls, classes: object) -> object:
        if isinstance(classes, str | Mapping | Set) or not isinstance(classes, Iterable):
            raise ValueError(
                f"classes are a tuple, in their order: the last of two is the one asked about; got {classes!r}"
            )
        return tuple(text_of(each) for each in classes)

    @model_validator(mode="after")
    def _tells_classes_apart(self, info: ValidationInfo) -> Self:
        if info.context is not STORED:
            for name in self.classes:
                check_class_name(name)
        if len(self.classes) < 2 or len(set(self.classes)) != len(self.classes):
            raise ValueError(f"a classifier needs two or more different classes, got {self.classes}")
        return self

    @cached_property
    def outputs(self) -> tuple[Output, ...]:
        """The outputs of an answer: label, score, and on request the probabilities by class."""
        by_class = {"classes": list(self.classes)}
        return (
            Output("label", "BYTES"),
            Output("score", "FP64"),
            Output("probabilities", "FP64", len(self.classes), by_class, on_request=True),
        )

    @classmethod
    def check_estimator(cls, estimator: object, *, fitted: bool) -> None:
        """Raise InvalidInputError unless this is a classifier with probabilities, `fitted` or to be fitted."""
        check_classifier(estimator, fitted=fitted)

    @classmethod
    def prepared(cls, estimator: Any) -> Any:
        """Return an unfitted classifier that can be fitted on classes by name."""
        return for_classes_by_name(estimator)

    def way_to_ask(self, estimator: Any) -> Ask:
        """Return a function from rows to labels and probabilities."""
        return way_to_ask(estimator)

    def of_onnx(self, model: OnnxModel) -> OnnxClassifier:
        """Return the classifier of an ONNX file; raises InvalidInputError if it does not name its classes."""
        return OnnxClassifier(model)

    def reader(self, estimator: object, *, partial: bool) -> ProbabilityReader:
        """Return the reader of the classifier's labels and probabilities; raises ValueError for other classes."""
        return ProbabilityReader(self.classes, estimator, partial=partial)

    @property
    def truths(self) -> tuple[str, ...]:
        """The classes."""
        return self.classes

    @property
    def asked(self) -> str | None:
        """The last of two classes."""
        return self.classes[-1] if len(self.classes) == 2 else None

    def accepted(self, labels: Collection[str]) -> set[str]:
        """Return those of the labels that are classes; all of them if the classes are not known."""
        return set(self._known.intersection(labels) if self.classes else labels)

    def joined(self, other: Task) -> Task:
        """Return the classification by the classes of both."""
        if not isinstance(other, Classification) or set(other.classes) <= self._known:
            return self
        return Classification.model_construct(classes=tuple(dict.fromkeys((*self.classes, *other.classes))))

    def describe(self) -> Mapping[str, tuple[str, ...]]:
        """Return the names of the classes."""
        return {"classes": self.classes}

    def loss(self, prediction: str, truth: str) -> float:
        """Return 0 for the right class, 1 for any other."""
        return 0.0 if prediction == truth else 1.0

    def losses(self, predictions: Column, truths: Column) -> Numbers:
        """Return 0 for each right row, 1 for each wrong one."""
        wrong = np.asarray(predictions, dtype=np.object_) != np.asarray(truths, dtype=np.object_)
        return np.asarray(wrong, dtype=np.float64)

    def stratum(self, truth: str) -> str:
        """Return the true class."""
        return truth

    def sums(self, truths: Column, predictions: Column, rows: Sequence[int] | None = None) -> Sums:
        """Return the count of each (true, predicted) pair of classes; a failed row predicts no class."""
        if rows is None:
            return Counter(confusion_counts(truths, predictions))
        found: Counter[tuple[str, ...]] = Counter()
        for truth, said, times in zip(truths, predictions, rows, strict=True):
            found[truth, NO_CLASS if said is None else said] += times
        return found

    def measures(self, sums: Sums, *, intervals: bool = True) -> Mapping[str, Measure]:
        """Return accuracy, micro-F1 and macro-F1 of the (true, predicted) pairs; macro-F1 is over the classes."""
        confusion = cast("Mapping[tuple[str, str], int]", sums)
        classes = self.classes or {name for pair in confusion for name in pair} - {NO_CLASS}
        found = metrics_from_confusion(confusion, classes)
        if not intervals:
            plain = {"accuracy": found.accuracy, "micro_f1": found.micro_f1, "macro_f1": found.macro_f1}
            return {name: Measure(value) for name, value in plain.items()}
        rows = sum(confusion.values())
        right = wilson_interval(sum(n for (truth, said), n in confusion.items() if truth == said), rows)
        return {
            "accuracy": Measure(found.accuracy, right),
            "micro_f1": Measure(found.micro_f1, right),
            "macro_f1": Measure(found.macro_f1, macro_f1_interval(confusion, classes=classes)),
        }

    def by_truth(self, sums: Sums) -> dict[str, dict[str, int]]:
        """Return the confusion table: the count of each predicted class, by true class."""
        found: defaultdict[str, dict[str, int]] = defaultdict(dict)
        for (truth, said), count in sorted(sums.items()):
            found[truth][said] = int(count)
        return dict(found)

    def group_rates(self, cells: "pd.DataFrame", asked: str | None) -> Sequence[GroupRates]:
        """Return the selection and error rates of the class `asked`; without it the selection rate of each class."""
        return class_rates(cells, asked)

    @classmethod
    def of_labels(cls, shares: Mapping[str, float]) -> Self:
        """Return the classes in the order of their names; of two, the one in question is last.

        That is 1 or True, or else the rarer one.
        """
        in_order = sorted(shares)
        named = list(shares) if len(shares) == 2 and in_order not in _NO_AND_YES else in_order
        return cls(classes=tuple(named))

    def first_limits(self, shares: Mapping[str, float]) -> FirstLimits:
        """Return a micro-F1 a little over the share of the commonest class, and the macro-F1 of always predicting it.

        That is the F1 of that class over the number of classes.
        """
        commonest = max(shares.values())
        gate = round(commonest + _OVER_COMMONEST * (1 - commonest), 4)
        return FirstLimits({"min_micro_f1": gate}, 2 * commonest / (1 + commonest) / len(self.classes))

    def calibrate(self, predictions: Column, scores: Numbers, truths: Column) -> Calibration:
        """Return the counts of each true class by predicted class and score."""
        return calibrate(predictions, scores, truths)

    def expected(
        self, calibration: Calibration, places: Places, worth: tuple[float, float] | None
    ) -> Mapping[str, Measure]:
        """Return the expected accuracy and macro-F1."""
        return expected_measures(calibration, places, worth)

    def outlook(self, counts: Mapping[str, Mapping[str, int]]) -> MacroF1Outlook | None:
        """Return the outlook of macro-F1; None without counts."""
        confusion = {(truth, said): n for truth, row in counts.items() for said, n in row.items() if n}
        return MacroF1Outlook(confusion) if confusion else None

    def least(self, limits: QualityLimits) -> Sequence[Least]:
        """Return the least micro-F1."""
        return (Least("micro_f1", "micro-F1", limits.min_micro_f1, _GATE_ADVICE),)

    def truth_bins(self, labels: Sequence[str | None]) -> Bins:  # noqa: ARG002  # the classes are known
        """Return a bin for each class."""
        return CategoricalBins(self.classes)

    def score_bins(self, scores: Numbers) -> Bins:  # noqa: ARG002  # probabilities have one range
        """Return `SCORE_BINS`."""
        return SCORE_BINS

    @cached_property
    def _known(self) -> frozenset[str]:
        return frozenset(self.classes)
