"""Classifiers of ONNX files: their classes, labels and probabilities."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from mlops_dagster.errors import InvalidInputError, ModelFailedError
from mlops_dagster.tasks.classification.onnx_classes import class_labels
from mlops_dagster.tasks.onnx import OnnxModel, OnnxPort

if TYPE_CHECKING:
    import pandas as pd

    from mlops_dagster.schema import ModelSchema

_LABELS = ("tensor(string)", "tensor(int64)", "tensor(int32)")
_ZIPMAP = "seq(map("


class OnnxClassifier:
    """A classifier of an ONNX file, with scikit-learn's interface.

    Its probabilities are a matrix or a ZipMap. The class of a row is its label output; for a model without one, the
    class with the highest probability.
    """

    def __init__(self, model: OnnxModel) -> None:
        self._model = model
        self._probabilities = _probabilities_of(model.outputs)
        self._label = _label_of([one for one in model.outputs if one is not self._probabilities])
        self.classes_: npt.NDArray[np.str_ | np.int64] = np.array(
            class_labels(model.document, self._probabilities.name)
        )
        width = 0 if self._probabilities.type.startswith(_ZIPMAP) else self._probabilities.shape[1]
        if isinstance(width, int) and width not in (0, len(self.classes_)):
            raise InvalidInputError(
                f"the ONNX model names {len(self.classes_)} classes and has {width} probabilities for them; "
                "export it again, with the classes in the order of the probabilities"
            )

    def check_schema(self, schema: "ModelSchema") -> None:
        """Raise InvalidInputError if rows of `schema`, one or many, do not fit the inputs of the model."""
        self._model.check_schema(schema)

    def predict_proba(self, X: "pd.DataFrame") -> "npt.NDArray[np.float64]":  # noqa: N803  # scikit-learn's name
        """Return the probabilities (rows, classes), in the order of `classes_`.

        Raises InvalidInputError for columns that the model does not accept, ModelFailedError if it fails on them.
        """
        return self._matrix(self._model.run(X, [self._probabilities.name])[0])

    def predict(self, X: "pd.DataFrame") -> "npt.NDArray[np.generic]":  # noqa: N803  # scikit-learn's name
        """Return the class of each row; raises as `predict_proba` does."""
        labels, probabilities = self.predict_with_proba(X)
        return self.classes_[probabilities.argmax(axis=1)] if labels is None else labels

    def predict_with_proba(
        self,
        X: "pd.DataFrame",  # noqa: N803  # scikit-learn's name
    ) -> "tuple[npt.NDArray[np.generic] | None, npt.NDArray[np.float64]]":
        """Return the class of each row (None without a label output) and its probabilities, from one run."""
        if self._label is None:
            return None, self.predict_proba(X)
        labels, found = self._model.run(X, [self._label.name, self._probabilities.name])
        return self._classes(labels), self._matrix(found)

    def _matrix(self, found: "npt.NDArray[np.generic] | list[dict[object, float]]") -> "npt.NDArray[np.float64]":
        if isinstance(found, list):  # a ZipMap
            found = np.array([[row[label] for label in self.classes_.tolist()] for row in found])
        return np.asarray(found, dtype=np.float64)

    def _classes(self, found: "npt.NDArray[np.generic]") -> "npt.NDArray[np.generic]":
        """Return the labels as classes: if labels are numbers and classes are texts, labels are indices of classes."""
        labels = found.ravel()
        if labels.dtype.kind not in "iu" or self.classes_.dtype.kind in "iu":
            return labels
        if len(labels) and not (labels.min() >= 0 and labels.max() < len(self.classes_)):
            some = labels.tolist()[:5]
            raise ModelFailedError(f"the ONNX model gave labels that are not 0 to {len(self.classes_) - 1}: {some}")
        named: npt.NDArray[np.generic] = self.classes_[labels.astype("int64")]
        return named


def _probabilities_of(outputs: Sequence[OnnxPort]) -> OnnxPort:
    found = [
        one
        for one in outputs
        if one.type.startswith(_ZIPMAP) or (one.type in ("tensor(float)", "tensor(double)") and len(one.shape) == 2)
    ]
    if len(found) != 1:
        has = ", ".join(f"{one.name} {one.type}{one.shape}" for one in outputs)
        raise InvalidInputError(
            f"the ONNX model must have one output with probabilities [rows, classes], and has {has}"
        )
    return found[0]


def _label_of(others: Sequence[OnnxPort]) -> OnnxPort | None:
    """Return the output with the class of each row; None if the model has probabilities only."""
    found = [one for one in others if one.type in _LABELS and len(one.shape) in (1, 2) and one.shape[1:] in ([], [1])]
    named = [one for one in found if "label" in one.name.lower()]
    if len(found) > 1 and len(named) != 1:
        raise InvalidInputError(
            f"the outputs {', '.join(one.name for one in found)} of the ONNX model may each be its label; call one of "
            "them `label`"
        )
    return next(iter(named or found), None)
