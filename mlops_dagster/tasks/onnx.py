"""The protocol of a model in an ONNX file, whose outputs each task reads in its own way."""

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd
    from onnx import ModelProto

    from mlops_dagster.schema import ModelSchema


class OnnxPort(Protocol):
    """An input or output, as onnxruntime describes it."""

    name: str
    type: str
    shape: list[int | str | None]


class OnnxModel(Protocol):
    """A loaded model of an ONNX file."""

    outputs: list[OnnxPort]
    document: "ModelProto"

    def check_schema(self, schema: "ModelSchema") -> None:
        """Raise InvalidInputError if rows of `schema`, one or many, do not fit the inputs of the model."""
        ...

    def run(self, frame: "pd.DataFrame", outputs: list[str]) -> "list[npt.NDArray[np.generic]]":
        """Return the values of the outputs of these names for the rows of `frame`.

        Raises InvalidInputError for columns that the model does not accept, ModelFailedError if it fails on them.
        """
        ...
