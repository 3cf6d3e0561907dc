"""The inputs of an ONNX model: a check that they accept a schema, and conversion of rows to them."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

from mlops_dagster.errors import InvalidInputError
from mlops_dagster.schema import Feature, ModelSchema
from mlops_dagster.tasks import OnnxPort

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd

_NUMBERS = {
    "tensor(float)": "float32",
    "tensor(double)": "float64",
    "tensor(int32)": "int32",
    "tensor(int64)": "int64",
    "tensor(bool)": "bool",
}
_TEXT = "tensor(string)"


def check_inputs(inputs: Sequence[OnnxPort], schema: ModelSchema) -> None:
    """Raise InvalidInputError if rows of `schema`, one or many, do not fit the inputs: every request would fail."""
    for one in inputs:
        if one.shape and isinstance(one.shape[0], int):
            raise InvalidInputError(
                f"input {one.name} of the ONNX model takes {one.shape[0]} rows at a time, no more and no fewer; export "
                "it again with a dynamic first dimension (None in skl2onnx's initial_types, dynamic_axes in torch)"
            )
    if _is_matrix(inputs, schema.names):
        (one,) = inputs
        if len(one.shape) == 2 and isinstance(one.shape[1], int) and one.shape[1] != len(schema.features):
            raise InvalidInputError(
                f"input {one.name} of the ONNX model takes {one.shape[1]} columns, and the schema has "
                f"{len(schema.features)} features: {', '.join(schema.names)}"
            )
        fed = [(one, feature) for feature in schema.features]
    else:
        _check_columns(inputs, schema.names)
        fed = [(one, schema.feature(one.name)) for one in inputs]
    for one, feature in fed:
        _check_kind(one, feature)


def feeds(inputs: Sequence[OnnxPort], frame: "pd.DataFrame") -> "dict[str, npt.NDArray[np.generic]]":
    """Return the array for each input from these rows; raises InvalidInputError for columns that it does not accept."""
    if _is_matrix(inputs, frame.columns):
        return {inputs[0].name: _tensor(inputs[0], frame)}
    _check_columns(inputs, frame.columns)
    return {one.name: _tensor(one, frame[[one.name]]) for one in inputs}


def _is_matrix(inputs: Sequence[OnnxPort], columns: "Sequence[str] | pd.Index[str]") -> bool:
    return len(inputs) == 1 and inputs[0].name not in columns


def _check_columns(inputs: Sequence[OnnxPort], columns: "Sequence[str] | pd.Index[str]") -> None:
    absent = [one.name for one in inputs if one.name not in columns]
    if absent:
        raise InvalidInputError(f"the ONNX model asks for {', '.join(absent)}, which is not a column of the rows")


def _check_kind(wanted: OnnxPort, feature: Feature) -> None:
    if wanted.type == _TEXT and feature.kind == "numeric":
        raise InvalidInputError(
            f"input {wanted.name} of the ONNX model is text, and the feature {feature.name!r} is a number"
        )
    if wanted.type != _TEXT and wanted.type not in _NUMBERS:
        raise InvalidInputError(
            f"input {wanted.name} of the ONNX model is {wanted.type}; only text and numbers are fed"
        )


def _tensor(wanted: OnnxPort, frame: "pd.DataFrame") -> "npt.NDArray[np.generic]":
    values = _texts(wanted, frame) if wanted.type == _TEXT else _numbers(wanted, frame)
    return values.ravel() if len(wanted.shape) == 1 else values


def _texts(wanted: OnnxPort, frame: "pd.DataFrame") -> "npt.NDArray[np.generic]":
    import numpy as np

    values = frame.to_numpy(dtype=np.object_)
    odd = [value for value in values.flat if not isinstance(value, str)]
    if odd:
        raise InvalidInputError(f"input {wanted.name} is text, and {odd[0]!r} is none; ONNX has no null for texts")
    return cast("npt.NDArray[np.generic]", values)


def _numbers(wanted: OnnxPort, frame: "pd.DataFrame") -> "npt.NDArray[np.generic]":
    import numpy as np

    if wanted.type not in _NUMBERS:
        raise InvalidInputError(
            f"input {wanted.name} of the ONNX model is {wanted.type}; only text and numbers are fed"
        )
    try:
        values = frame.to_numpy(dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InvalidInputError(f"input {wanted.name} of the ONNX model is {wanted.type}: {error}") from error
    if wanted.type in ("tensor(float)", "tensor(double)"):
        return values.astype(_NUMBERS[wanted.type])
    with np.errstate(invalid="ignore"):
        whole = values.astype(_NUMBERS[wanted.type])
    if not np.array_equal(whole, values):
        raise InvalidInputError(
            f"input {wanted.name} is {wanted.type}, and its values are not; null has no place in it"
        )
    return cast("npt.NDArray[np.generic]", whole)
