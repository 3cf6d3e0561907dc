"""The protocol of a model, independent of the library that made it."""

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd


class Estimator(Protocol):
    """A fitted classifier with scikit-learn's interface."""

    @property
    def classes_(self) -> "npt.NDArray[np.str_ | np.int64]": ...

    def predict_proba(self, X: "pd.DataFrame") -> "npt.NDArray[np.float64]":  # noqa: N803  # scikit-learn's name
        ...
