"""Open Inference Protocol v2 over HTTP: bodies to requests, and scores to answers.

https://github.com/kserve/open-inference-protocol, with Triton's extensions for binary tensor data and for parameters.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any, NamedTuple

import orjson

from mlops_dagster.errors import InvalidInputError
from mlops_dagster.schema import ModelSchema
from mlops_dagster.serving.protocol.inputs import Binary, Column, read_input
from mlops_dagster.serving.protocol.outputs import PREDICTION_ID, Outputs
from mlops_dagster.serving.protocol.request_parameters import (
    Headers,
    arm_of,
    json_length_of,
    optional_text,
    read_options,
    routing_key_of,
)
from mlops_dagster.serving.protocol.tensors import Json, shown, to_binary

__all__ = [
    "Answer",
    "Column",
    "Headers",
    "InferRequest",
    "decode",
    "encode",
    "read_object",
    "read_request",
]

MAX_ROWS = 10_000


class InferRequest(NamedTuple):
    """An infer request: `columns` by feature name, or a `matrix` of `width` values a row, without feature names yet.

    A single input of [rows, 1] is given as both, until the schema tells whether its name is that of a feature.
    """

    id: str | None
    rows: int
    columns: Mapping[str, Column]
    matrix: Column | None = None
    width: int = 0
    routing_key: str | None = None
    event_time: datetime | None = None
    version: str | None = None
    arm: str | None = None
    outputs: tuple[str, ...] = ()
    """The outputs that were asked for; empty for those that the task gives by default."""
    binary_outputs: frozenset[str] = frozenset()
    all_binary: bool = False
    """Whether the outputs by default are to be binary."""
    parameters: Mapping[str, str | float] = MappingProxyType({})
    """The parameters that the answer returns to the client: texts, numbers and booleans."""

    def named_columns(self, schema: ModelSchema) -> Mapping[str, Column]:
        """Return the columns; those of a matrix get the names in `schema`, in order. Raises InvalidInputError."""
        names, width = schema.names, self.width
        if self.matrix is None or not self.columns.keys().isdisjoint(names):
            return self.columns
        if width != len(names):
            raise InvalidInputError(f"the 2-D input has {width} columns and the model takes {len(names)}: {names}")
        datatype, values = self.matrix
        return {name: Column(datatype, values[position::width]) for position, name in enumerate(names)}


class Answer(NamedTuple):
    """The body of an answer; `json_length` is the length of its JSON if binary data follows, else None."""

    body: bytes
    json_length: int | None = None


def read_request(body: bytes, headers: Headers, max_rows: int = MAX_ROWS) -> InferRequest:
    """Decode a request, with routing key and arm from the headers if no parameter gives them; InvalidInputError."""
    request = decode(body, json_length_of(headers), max_rows)
    key, arm = routing_key_of(headers), arm_of(headers)
    if key is None and arm is None:
        return request
    return request._replace(
        routing_key=key if request.routing_key is None else request.routing_key,
        arm=arm if request.arm is None else request.arm,
    )


def decode(body: bytes, header_length: int | None = None, max_rows: int = MAX_ROWS) -> InferRequest:
    """Read the body of an infer request; raises InvalidInputError, which says what is wrong in it.

    With a `header_length`, the first `header_length` bytes are JSON, and binary data follows.

    >>> request = decode(b'{"inputs": [{"name": "hour", "shape": [2], "datatype": "INT64", "data": [7, null]}]}')
    >>> request.rows, request.columns["hour"].values
    (2, [7.0, None])
    """
    binary = None if header_length is None else Binary(body, header_length)
    content = read_object(body if header_length is None else body[:header_length])
    inputs = content.get("inputs")
    if not isinstance(inputs, list) or not inputs:
        raise InvalidInputError("the request has no `inputs`; give one tensor per feature, or one 2-D tensor")
    tensors = [read_input(entry, binary, max_rows) for entry in inputs]
    if binary is not None:
        binary.check_end()
    columns: dict[str, Column] = {}
    first, matrix, width = tensors[0], None, 0
    for name, rows, its_width, column in tensors:
        if rows != first.rows:
            raise InvalidInputError(f"input {shown(name)} has {rows} rows and the first one {first.rows}")
        if its_width > 1 and len(tensors) > 1:
            raise InvalidInputError("a 2-D input holds all features and must be the only input")
        if name in columns:
            raise InvalidInputError(f"input {shown(name)} is given twice")
        columns[name] = column
    if len(tensors) == 1 and first.width:
        matrix, width = first.column, first.width
        columns = columns if width == 1 else {}
    request_id = optional_text(content, "id")
    if "parameters" in content or "outputs" in content:
        return InferRequest(request_id, first.rows, columns, matrix, width, **read_options(content))
    return InferRequest(request_id, first.rows, columns, matrix, width)


def encode(
    model: str,
    version: str,
    role: str,
    request: InferRequest,
    outputs: Outputs,
    values: Mapping[str, Sequence[Any]],
) -> Answer:
    """Return the answer to `request`; its `id` is the caller's own, or else that of the (first) prediction.

    `values` has, for each output of the answer, one value a row, or as many as the output is wide.
    """
    tensors: list[dict[str, Json]] = []
    parts: list[bytes] = []
    ids = values[PREDICTION_ID.name]
    for name in request.outputs or outputs.by_default:
        its, column = outputs.by_name[name], values[name]
        tensor: dict[str, Json] = {"name": name, "datatype": its.datatype, "shape": [len(ids)]}
        if its.width is not None:
            column = [value for row in column for value in row]
            tensor["shape"] = [len(ids), its.width]
            if its.parameters is not None:
                tensor["parameters"] = its.parameters
        if name in request.binary_outputs or (request.all_binary and not request.outputs):
            parts.append(to_binary(column))
            tensor["parameters"] = {**tensor.get("parameters", {}), "binary_data_size": len(parts[-1])}
        else:
            tensor["data"] = column
        tensors.append(tensor)
    content = orjson.dumps(
        {
            "model_name": model,
            "model_version": version,
            "id": request.id or ids[0],
            "parameters": {**request.parameters, "role": role} if request.parameters else {"role": role},
            "outputs": tensors,
        }
    )
    return Answer(b"".join((content, *parts)), len(content)) if parts else Answer(content)


def read_object(body: bytes) -> dict[str, Json]:
    """Return the JSON object in a body; raises InvalidInputError if it holds another value, or no JSON."""
    try:
        content = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise InvalidInputError(f"the request body is not JSON: {error}") from error
    if not isinstance(content, dict):
        raise InvalidInputError(f"the request body must be a JSON object, got {type(content).__name__}")
    return content
