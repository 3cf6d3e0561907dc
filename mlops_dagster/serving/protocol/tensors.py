"""Conversion of the values of one tensor, row by row: from JSON, and from and to binary data.

https://github.com/kserve/open-inference-protocol (Tensor Data) and Triton's binary tensor data extension.
"""

import struct
from collections.abc import Sequence
from reprlib import Repr
from types import NoneType
from typing import Any, TypeAlias

import numpy as np
import orjson

from mlops_dagster.errors import InvalidInputError

# Any value that `orjson.loads` may return; the decoder checks its type before it is used elsewhere.
Json = Any

Value: TypeAlias = float | str | None

BINARY = {
    "BOOL": "?", "FP16": "<f2", "FP32": "<f4", "FP64": "<f8",
    "INT8": "i1", "INT16": "<i2", "INT32": "<i4", "INT64": "<i8",
    "UINT8": "u1", "UINT16": "<u2", "UINT32": "<u4", "UINT64": "<u8",
}  # fmt: skip
"""The numeric datatypes and their numpy types; binary data is row by row, little-endian."""

DATATYPES = frozenset({*BINARY, "BYTES"})

_NULL = frozenset({NoneType})
_TYPES = {name: _NULL | ({float, int} if "FP" in name else {bool} if name == "BOOL" else {int}) for name in BINARY}
_TYPES["BYTES"] = _NULL | {str}
_RANGES = {name: np.iinfo(dtype) for name, dtype in BINARY.items() if "INT" in name}
# Lists of such values need neither a further check nor a conversion.
_FLOATS, _TEXTS = {float}, {str}
_LENGTH = struct.Struct("<I")

_SHORT = Repr()
_SHORT.maxstring = _SHORT.maxother = _SHORT.maxlong = 80


def shown(value: Json) -> str:
    """Return a client's value for a message, shortened if it is large or deeply nested.

    >>> shown("late"), len(shown("x" * 1000))
    ("'late'", 80)
    """
    return _SHORT.repr(value)


def from_json(name: str, datatype: str, data: list[Json]) -> list[Value]:
    """Return the values of a flat list, numbers as floats; raises InvalidInputError for one of another datatype.

    >>> from_json("hour", "INT64", [7, None])
    [7.0, None]
    """
    types = set(map(type, data))
    if types == _FLOATS and datatype in ("FP64", "FP32"):
        return data
    if types == _TEXTS and datatype == "BYTES":
        return data
    if not types <= _TYPES[datatype]:
        wrong = next(value for value in data if type(value) not in _TYPES[datatype])
        raise InvalidInputError(f"input {shown(name)} has value {shown(wrong)}, which is not {datatype}")
    if datatype == "BYTES":
        return data
    if datatype in _RANGES:
        _check_range(name, datatype, data)
    return [None if value is None else float(value) for value in data]


def from_json_texts(name: str, data: list[Json]) -> tuple[str, list[Value]]:
    """Return datatype and values of texts that each hold JSON, as MLServer's pandas codec sends a column of objects.

    Raises InvalidInputError.
    """
    try:
        values = [orjson.loads(text) for text in data]
    except orjson.JSONDecodeError as error:
        raise InvalidInputError(f"input {shown(name)} is not `pd_json`, one JSON text a row: {error}") from error
    types = set(map(type, values)) - _NULL
    datatype = "FP64" if types <= {float, int} else "BOOL" if types == {bool} else "BYTES"
    return datatype, from_json(name, datatype, values)


def from_binary(name: str, datatype: str, data: bytes, count: int) -> list[Value]:
    """Return `count` values of binary data, NaN as null; InvalidInputError for another number, or text not in UTF-8.

    >>> from_binary("hour", "INT16", bytes([7, 0, 1, 1]), 2)
    [7.0, 257.0]
    """
    if datatype == "BYTES":
        return _texts(name, data, count)
    dtype = np.dtype(BINARY[datatype])
    if len(data) != count * dtype.itemsize:
        raise InvalidInputError(
            f"input {shown(name)} has {len(data)} bytes; {count} values of {datatype} need {count * dtype.itemsize}"
        )
    if datatype == "BOOL" and data.strip(b"\0\1"):
        raise InvalidInputError(f"input {shown(name)} has bytes other than 0 and 1, which are not BOOL")
    values: list[Value] = np.frombuffer(data, dtype).astype(np.float64, copy=False).tolist()
    if "FP" in datatype and any(value != value for value in values):  # NaN alone differs from itself
        return [value if value == value else None for value in values]
    return values


def to_binary(values: Sequence[str] | Sequence[float]) -> bytes:
    """Return texts as the binary data of BYTES, or numbers as that of FP64.

    >>> to_binary(["ab"]), len(to_binary([0.5]))
    (b'\\x02\\x00\\x00\\x00ab', 8)
    """
    if isinstance(values[0], str):
        texts = [text.encode() for text in values if isinstance(text, str)]
        return b"".join(part for text in texts for part in (_LENGTH.pack(len(text)), text))
    return np.array(values, "<f8").tobytes()


def _check_range(name: str, datatype: str, data: list[Json]) -> None:
    numbers = [value for value in data if value is not None]
    limits = _RANGES[datatype]
    if numbers and not (limits.min <= min(numbers) and max(numbers) <= limits.max):
        wrong = next(value for value in numbers if not limits.min <= value <= limits.max)
        raise InvalidInputError(f"input {shown(name)} has value {wrong}, which is not {datatype}")


def _texts(name: str, data: bytes, count: int) -> list[Value]:
    """Return the texts in binary data: each has 4 bytes for its length, then UTF-8. Raises InvalidInputError."""
    texts: list[Value] = []
    at = 0
    try:
        for _ in range(count):
            begin = at + _LENGTH.size
            at = begin + _LENGTH.unpack_from(data, at)[0]
            texts.append(data[begin:at].decode())
    except (struct.error, UnicodeDecodeError) as error:
        raise InvalidInputError(
            f"input {shown(name)} is cut off, or not UTF-8, at value {len(texts)}: {error}"
        ) from error
    if at != len(data):
        raise InvalidInputError(f"input {shown(name)} has {len(data)} bytes; its {count} values need {at}")
    return texts
