"""Reading of the tensors of a request, in JSON or as binary data, each checked against its shape and datatype."""

from typing import NamedTuple

from mlops_dagster.errors import InvalidInputError
from mlops_dagster.serving.protocol.tensors import (
    DATATYPES,
    Json,
    Value,
    from_binary,
    from_json,
    from_json_texts,
    shown,
)


class Column(NamedTuple):
    """The values of one input over the rows of a request: numbers as floats, or texts."""

    datatype: str
    values: list[Value]


class Input(NamedTuple):
    """A tensor of a request; `width` is 0 for a shape of [rows], else the number of values a row."""

    name: str
    rows: int
    width: int
    column: Column


class Binary:
    """The binary data that follows the JSON of a body: that of the binary inputs, in their order."""

    def __init__(self, body: bytes, header_length: int) -> None:
        if not 0 <= header_length <= len(body):
            raise InvalidInputError(f"the JSON is said to have {header_length} bytes of a body of {len(body)}")
        self._body, self._at = body, header_length

    def take(self, name: str, size: Json) -> bytes:
        if type(size) is not int or not 0 <= size <= len(self._body) - self._at:
            left = len(self._body) - self._at
            raise InvalidInputError(f"input {shown(name)} has binary_data_size {shown(size)}; {left} bytes are left")
        self._at += size
        return self._body[self._at - size : self._at]

    def check_end(self) -> None:
        if self._at != len(self._body):
            raise InvalidInputError(f"{len(self._body) - self._at} bytes of binary data belong to no input")


def read_input(entry: Json, binary: Binary | None, max_rows: int) -> Input:
    """Read one of the `inputs` of a request; raises InvalidInputError."""
    if type(entry) is not dict or type(name := entry.get("name")) is not str:
        raise InvalidInputError("every input needs a `name`")
    datatype = entry.get("datatype")
    if type(datatype) is not str or datatype not in DATATYPES:
        known = ", ".join(sorted(DATATYPES))
        raise InvalidInputError(f"input {shown(name)} has datatype {shown(datatype)}; supported: {known}")
    rows, width = _shape(name, entry.get("shape"), max_rows)
    parameters = entry.get("parameters")
    if parameters is None:
        values = _flat(name, rows, width, entry.get("data"))
        return Input(name, rows, width, Column(datatype, from_json(name, datatype, values)))
    check_parameters(parameters)
    if "binary_data_size" in parameters:
        if binary is None:
            raise InvalidInputError(
                f"input {shown(name)} is binary: the header Inference-Header-Content-Length must say where it begins"
            )
        data = binary.take(name, parameters["binary_data_size"])
        return Input(name, rows, width, Column(datatype, from_binary(name, datatype, data, rows * (width or 1))))
    values = _flat(name, rows, width, entry.get("data"))
    if datatype == "BYTES" and parameters.get("content_type") == "pd_json":
        return Input(name, rows, width, Column(*from_json_texts(name, values)))
    return Input(name, rows, width, Column(datatype, from_json(name, datatype, values)))


def check_parameters(parameters: Json) -> None:
    """Raise InvalidInputError unless `parameters` is an object."""
    if type(parameters) is not dict:
        raise InvalidInputError(f"`parameters` must be an object, got {shown(parameters)}")


def _shape(name: str, shape: Json, max_rows: int) -> tuple[int, int]:
    if type(shape) is list and len(shape) == 1 and type(rows := shape[0]) is int and 0 < rows <= max_rows:
        return rows, 0
    if type(shape) is not list or len(shape) not in (1, 2) or set(map(type, shape)) != {int} or min(shape) < 1:
        raise InvalidInputError(
            f"input {shown(name)} has shape {shown(shape)}; use [rows], [rows, 1] or [rows, features], one row at least"
        )
    if shape[0] > max_rows:
        raise InvalidInputError(f"input {shown(name)} has {shape[0]} rows; this server takes up to {max_rows} at once")
    return shape[0], shape[1]


def _flat(name: str, rows: int, width: int, data: Json) -> list[Json]:
    """Return the values row by row, which JSON may nest as the shape says, or not at all; raises InvalidInputError."""
    if type(data) is not list:
        raise InvalidInputError(f"input {shown(name)} has no list `data`, nor a parameter `binary_data_size`")
    if width and data and type(data[0]) is list:
        if len(data) != rows or any(type(row) is not list or len(row) != width for row in data):
            raise InvalidInputError(
                f"input {shown(name)} is nested in another way than its shape [{rows}, {width}] says"
            )
        data = [value for row in data for value in row]
    values: list[Json] = data
    wanted = rows * (width or 1)
    if len(values) != wanted:
        raise InvalidInputError(f"input {shown(name)} has {len(values)} values; its shape needs {wanted}")
    return values
