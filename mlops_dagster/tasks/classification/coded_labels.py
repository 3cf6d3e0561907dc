"""A wrapper for classifiers that accept only whole numbers from 0 as classes, such as XGBoost's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.preprocessing import LabelEncoder

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd


class CodedLabels(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn ships no types
    """A classifier that is fitted on the indices of its classes, and answers with the classes.

    Args:
        estimator: an unfitted classifier, which is cloned.

    >>> from sklearn.linear_model import LogisticRegression
    >>> CodedLabels(LogisticRegression()).fit([[0], [1]], ["no", "yes"]).predict([[2]]).tolist()
    ['yes']
    """

    def __init__(self, estimator: Any) -> None:
        self.estimator = estimator

    def fit(self, X: pd.DataFrame, y: npt.ArrayLike) -> CodedLabels:  # noqa: N803  # scikit-learn's name
        """Fit a clone of the estimator on rows `X` and the indices of their classes `y`."""
        codes = LabelEncoder().fit(y)
        self.classes_: npt.NDArray[np.generic] = codes.classes_
        self.estimator_ = clone(self.estimator).fit(X, codes.transform(y))
        if hasattr(self.estimator_, "feature_names_in_"):
            self.feature_names_in_ = self.estimator_.feature_names_in_
        return self

    def predict_proba(self, X: pd.DataFrame) -> npt.NDArray[np.float64]:  # noqa: N803
        """Return the probabilities (rows, classes) in the order of `classes_`."""
        found: npt.NDArray[np.float64] = self.estimator_.predict_proba(X)
        return found

    def predict(self, X: pd.DataFrame) -> npt.NDArray[np.generic]:  # noqa: N803
        """Return the class of each row."""
        found: npt.NDArray[np.generic] = self.classes_[self.estimator_.predict(X)]
        return found
