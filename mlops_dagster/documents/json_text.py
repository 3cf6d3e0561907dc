"""JSON as all stores of this project write it: strict (RFC 8259), with sorted keys."""

import json
import math
from collections.abc import Mapping

from mlops_dagster.errors import InvalidInputError


def json_text(value: object) -> str:
    """Return canonical JSON; raise InvalidInputError for a value that JSON cannot hold.

    Evidence may be infinite (an e-value, a distance), which JSON cannot express: it becomes the string "Infinity",
    "-Infinity" or "NaN", as pydantic writes it. Limits are never infinite: `StrictModel` refuses that.

    >>> json_text({"e_value": float("inf"), "limit": 20.0})
    '{"e_value": "Infinity", "limit": 20.0}'
    """
    try:
        try:
            return json.dumps(value, sort_keys=True, allow_nan=False)
        except ValueError:
            return json.dumps(_in_words(value), sort_keys=True, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidInputError(f"a {type(value).__name__} cannot be kept as JSON: {error}") from error


def _in_words(value: object) -> object:
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")
    if isinstance(value, Mapping):
        return {key: _in_words(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_in_words(each) for each in value]
    return value
