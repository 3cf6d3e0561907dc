"""Open Inference Protocol v2 over JSON: bodies to columns, and scores to bodies.

https://github.com/kserve/open-inference-protocol. Its binary tensor extension is refused by name.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import prod
from typing import Any

import orjson

from mlops_dagster.clock import parse_time
from mlops_dagster.errors import InvalidInputError
from mlops_dagster.schema import ModelSchema

# What `json.loads` may return; the decoder narrows it before anything leaves this module.
Json = Any

DATATYPES = frozenset({"FP32", "FP64", "INT32", "INT64", "BOOL", "BYTES"})
OUTPUTS = {"label": "BYTES", "score": "FP64", "prediction_id": "BYTES"}


@dataclass(frozen=True, slots=True)
class Column:
    """The values of one input over the rows of a request, as JSON brought them."""

    datatype: str
    values: list[Json]


@dataclass(frozen=True, slots=True)
class InferRequest:
    """One request: `columns` by feature name, or one `matrix` of `width` values a row that waits for their names."""

    id: str | None
    rows: int
    columns: Mapping[str, Column]
    matrix: Column | None = None
    width: int = 0
    routing_key: str | None = None
    event_time: datetime | None = None
    version: str | None = None
    arm: str | None = None
    outputs: tuple[str, ...] = tuple(OUTPUTS)

    def named_columns(self, schema: ModelSchema) -> Mapping[str, Column]:
        """The columns; a matrix takes its column names from `schema`, in order. Raises InvalidInputError."""
        if self.matrix is None:
            return self.columns
        if self.width != len(schema.features):
            raise InvalidInputError(
                f"the 2-D input has {self.width} columns and the model takes {len(schema.features)}: {schema.names}"
            )
        values = self.matrix.values
        return {
            name: Column(self.matrix.datatype, values[position :: self.width])
            for position, name in enumerate(schema.names)
        }


def decode(body: bytes) -> InferRequest:
    """Read the body of an infer request; raises InvalidInputError that says what is wrong in it.

    >>> request = decode(b'{"inputs": [{"name": "hour", "shape": [2], "datatype": "INT64", "data": [7, null]}]}')
    >>> request.rows, request.columns["hour"].values
    (2, [7, None])
    """
    content = read_object(body)
    inputs = content.get("inputs")
    if not isinstance(inputs, list) or not inputs:
        raise InvalidInputError("the request has no `inputs`; give one tensor per feature, or one 2-D tensor")
    columns: dict[str, Column] = {}
    rows, matrix, width = -1, None, 0
    for entry in inputs:
        name, shape, column = _tensor(entry)
        if rows not in (-1, shape[0]):
            raise InvalidInputError(f"input {name!r} has {shape[0]} rows and the one before it {rows}")
        rows = shape[0]
        if len(shape) == 2 and shape[1] != 1:
            matrix, width = column, shape[1]
        elif name in columns:
            raise InvalidInputError(f"input {name!r} is given twice")
        else:
            columns[name] = column
    if matrix is not None and len(inputs) > 1:
        raise InvalidInputError("a 2-D input holds all features and must be the only input")
    return InferRequest(
        _optional_text(content, "id"), rows, columns, matrix, width, **_parameters(content), outputs=_outputs(content)
    )


def encode(
    model: str,
    version: str,
    role: str,
    request: InferRequest,
    ids: Sequence[str],
    labels: Sequence[str],
    scores: Sequence[float],
) -> bytes:
    """The body of the answer; `id` is the caller's own, or else that of the (first) prediction."""
    values: dict[str, Sequence[str] | Sequence[float]] = {"label": labels, "score": scores, "prediction_id": ids}
    return orjson.dumps(
        {
            "model_name": model,
            "model_version": version,
            "id": request.id or ids[0],
            "parameters": {"role": role},
            "outputs": [
                {"name": name, "datatype": OUTPUTS[name], "shape": [len(ids)], "data": values[name]}
                for name in request.outputs
            ],
        }
    )


def describe(model: str, versions: Sequence[str], schema: ModelSchema) -> dict[str, Json]:
    """The metadata of a model. Integers and booleans are taken as numbers too."""
    datatypes = {"numeric": "FP64", "categorical": "BYTES"}
    return {
        "name": model,
        "versions": list(versions),
        "platform": "sklearn",
        "inputs": [{"name": f.name, "datatype": datatypes[f.kind], "shape": [-1]} for f in schema.features],
        "outputs": [{"name": name, "datatype": datatype, "shape": [-1]} for name, datatype in OUTPUTS.items()],
    }


def read_object(body: bytes) -> dict[str, Json]:
    """A JSON object; raises InvalidInputError."""
    try:
        content = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise InvalidInputError(f"the request body is not JSON: {error}") from error
    if not isinstance(content, dict):
        raise InvalidInputError(f"the request body must be a JSON object, got {type(content).__name__}")
    return content


def _tensor(entry: Json) -> tuple[str, list[int], Column]:
    name = entry.get("name") if isinstance(entry, dict) else None
    if not isinstance(name, str):
        raise InvalidInputError("every input needs a `name`")
    shape, datatype, data = entry.get("shape"), entry.get("datatype"), entry.get("data")
    if datatype not in DATATYPES:
        raise InvalidInputError(f"input {name!r} has datatype {datatype!r}; supported: {sorted(DATATYPES)}")
    if not isinstance(shape, list) or len(shape) not in (1, 2) or not all(type(n) is int and n > 0 for n in shape):
        raise InvalidInputError(f"input {name!r} has shape {shape!r}; use [rows], [rows, 1] or [rows, features]")
    if not isinstance(data, list):
        raise InvalidInputError(f"input {name!r} has no list `data`; the binary tensor extension is not supported yet")
    if len(shape) == 2 and data and isinstance(data[0], list):
        data = [value for row in data for value in (row if isinstance(row, list) else [row])]
    if len(data) != prod(shape):
        raise InvalidInputError(f"input {name!r} has {len(data)} values; its shape {shape} needs {prod(shape)}")
    return name, shape, Column(datatype, data)


def _parameters(content: dict[str, Json]) -> dict[str, Json]:
    parameters = content.get("parameters") or {}
    if not isinstance(parameters, dict):
        raise InvalidInputError("`parameters` must be an object")
    event_time = _optional_text(parameters, "event_time")
    arm = _optional_text(parameters, "arm")
    if arm not in (None, "champion", "canary"):
        raise InvalidInputError(f"parameter `arm` is {arm!r}; use 'champion' or 'canary'")
    return {
        "routing_key": _optional_text(parameters, "routing_key"),
        "event_time": None if event_time is None else read_time(event_time),
        "version": _optional_text(parameters, "version"),
        "arm": arm,
    }


def read_time(text: str) -> datetime:
    """An ISO 8601 time with a zone; raises InvalidInputError."""
    try:
        return parse_time(text)
    except ValueError as error:
        raise InvalidInputError(f"{text!r} is not an ISO 8601 time with a zone: {error}") from error


def _outputs(content: dict[str, Json]) -> tuple[str, ...]:
    wanted = content.get("outputs")
    if not wanted:
        return tuple(OUTPUTS)
    if not isinstance(wanted, list) or not all(isinstance(entry, dict) for entry in wanted):
        raise InvalidInputError("`outputs` must be a list of objects")
    names = tuple(str(entry.get("name")) for entry in wanted)
    unknown = [name for name in names if name not in OUTPUTS]
    if unknown:
        raise InvalidInputError(f"unknown outputs {unknown}; there are {list(OUTPUTS)}")
    return names


def _optional_text(content: dict[str, Json], name: str) -> str | None:
    value = content.get(name)
    if value is None or isinstance(value, str):
        return value
    raise InvalidInputError(f"`{name}` must be a string, got {value!r}")
