"""What a team writes itself: a module that is installed where models are trained and served."""

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin


class Clip(TransformerMixin, BaseEstimator):
    """Cuts numbers off at the largest that it was fitted on."""

    def fit(self, X: pd.DataFrame, y: object = None) -> "Clip":  # noqa: N803, ARG002
        self.most_ = np.asarray(X, dtype=np.float64).max(axis=0)
        return self

    def transform(self, X: pd.DataFrame) -> npt.NDArray[np.float64]:  # noqa: N803
        return np.minimum(np.asarray(X, dtype=np.float64), self.most_)


class Forgetful(Clip):
    """Clips, and keeps what it has learnt where no file has it."""

    def __getstate__(self) -> dict[str, object]:
        return {name: value * 0 if name == "most_" else value for name, value in self.__dict__.items()}


def root(values: pd.DataFrame) -> pd.DataFrame:
    """A function for scikit-learn's FunctionTransformer."""
    return np.sqrt(values)
