"""Reading of a request's parameters, of headers with the same meaning, and of the requested outputs."""

from collections.abc import Mapping
from datetime import datetime
from typing import TypeAlias, TypedDict

from mlops_dagster.clock import parse_time
from mlops_dagster.errors import InvalidInputError
from mlops_dagster.names import is_plain
from mlops_dagster.serving.protocol.inputs import check_parameters
from mlops_dagster.serving.protocol.tensors import Json, shown

# The longest text in characters: an id is a part of the name of every row of its request in the log.
MAX_TEXT = 512

Headers: TypeAlias = Mapping[bytes, bytes]
"""The headers of a request by lower-case name, as ASGI gives them."""

_NONE: Mapping[str, Json] = {}


class RequestParameters(TypedDict):
    """The fields of InferRequest that parameters and outputs set."""

    routing_key: str | None
    event_time: datetime | None
    version: str | None
    arm: str | None
    outputs: tuple[str, ...]
    binary_outputs: frozenset[str]
    all_binary: bool
    parameters: Mapping[str, str | float]


def read_options(content: Mapping[str, Json]) -> RequestParameters:
    """Return the `parameters` and `outputs` of a request; unknown parameters are accepted.

    Raises InvalidInputError.
    """
    parameters = content.get("parameters") or _NONE
    check_parameters(parameters)
    event_time = optional_text(parameters, "event_time")
    all_binary = parameters.get("binary_data_output") is True
    outputs, binary = _outputs(content.get("outputs"), all_binary=all_binary)
    return {
        "routing_key": optional_text(parameters, "routing_key"),
        "event_time": None if event_time is None else read_time(event_time),
        "version": optional_text(parameters, "version"),
        "arm": _arm(optional_text(parameters, "arm"), "parameter `arm`"),
        "outputs": outputs,
        "binary_outputs": binary,
        "all_binary": all_binary,
        "parameters": {key: value for key, value in parameters.items() if isinstance(value, str | int | float)},
    }


def routing_key_of(headers: Headers) -> str | None:
    """Return the header x-mlops-routing-key, or None; raises InvalidInputError."""
    return _header(headers, b"x-mlops-routing-key")


def arm_of(headers: Headers) -> str | None:
    """Return the header x-mlops-arm, or None; raises InvalidInputError."""
    return _arm(_header(headers, b"x-mlops-arm"), "header x-mlops-arm")


def json_length_of(headers: Headers) -> int | None:
    """Return the header Inference-Header-Content-Length, the bytes of JSON before binary data, or None.

    Raises InvalidInputError.
    """
    length = headers.get(b"inference-header-content-length")
    if length is None or (length.isdigit() and len(length) < 16):
        return None if length is None else int(length)
    raise InvalidInputError(
        f"header Inference-Header-Content-Length is {shown(length)}, which is not a number of bytes"
    )


def optional_text(content: Mapping[str, Json], name: str) -> str | None:
    """Return a text of up to MAX_TEXT characters without control characters, or None; raises InvalidInputError."""
    value = content.get(name)
    if value is None or (type(value) is str and len(value) <= MAX_TEXT and is_plain(value)):
        return value
    raise InvalidInputError(
        f"`{name}` must be a string of up to {MAX_TEXT} characters, no control character among them, got {shown(value)}"
    )


def read_time(text: str) -> datetime:
    """Return the time of an ISO 8601 text with a zone; raises InvalidInputError."""
    try:
        return parse_time(text)
    except ValueError as error:
        raise InvalidInputError(f"{shown(text)} is not an ISO 8601 time with a zone: {shown(str(error))}") from error


def _outputs(wanted: Json, *, all_binary: bool) -> tuple[tuple[str, ...], frozenset[str]]:
    """Return the names of the requested outputs, and of those that are to be binary; empty if none is named."""
    if not wanted:
        return (), frozenset()
    if type(wanted) is not list or not all(type(entry) is dict for entry in wanted):
        raise InvalidInputError("`outputs` must be a list of objects")
    binary: dict[str, bool] = {}
    for entry in wanted:
        name, parameters = entry.get("name"), entry.get("parameters") or _NONE
        check_parameters(parameters)
        if type(name) is not str:
            raise InvalidInputError(f"the name of an output is a string, got {shown(name)}")
        if name in binary:
            raise InvalidInputError(f"output {name!r} is asked for twice")
        binary[name] = parameters.get("binary_data", all_binary) is True
    return tuple(binary), frozenset(name for name, is_binary in binary.items() if is_binary)


def _arm(arm: str | None, where: str) -> str | None:
    if arm not in (None, "champion", "canary"):
        raise InvalidInputError(f"{where} is {shown(arm)}; use 'champion' or 'canary'")
    return arm


def _header(headers: Headers, name: bytes) -> str | None:
    value = headers.get(name)
    try:
        return None if value is None else optional_text({name.decode(): value.decode()}, name.decode())
    except UnicodeDecodeError as error:
        raise InvalidInputError(f"header {name.decode()} is not UTF-8: {error}") from error
