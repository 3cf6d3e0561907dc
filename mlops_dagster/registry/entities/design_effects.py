"""Conversion of design effects from JSON."""

import math
from collections.abc import Mapping

from pydantic import TypeAdapter, ValidationError

from mlops_dagster.errors import InvalidInputError
from mlops_dagster.statistics.design_effects.design_effect import DesignEffect


def design_effects_of(data: object) -> dict[str, DesignEffect]:
    """Return the design effects by name; raises InvalidInputError."""
    match data:
        case Mapping():
            return {str(name): design_effect_of(effect) for name, effect in data.items()}
        case _:
            raise InvalidInputError(f"not design effects as to_json writes them: {data}")


def design_effect_of(data: object) -> DesignEffect:
    """Return a design effect, given by field names or, in old baselines, by its first two or four fields in order.

    Raises InvalidInputError.
    """
    try:
        found = TypeAdapter(DesignEffect).validate_python(data)
    except ValidationError as error:
        raise InvalidInputError(f"not a design effect as to_json writes it: {data} ({error})") from error
    numbers = [number for number in found if number is not None]
    if not (all(map(math.isfinite, numbers)) and found.rows >= 1 and 0 < found.freedom <= 1 and 0 <= found.lasting < 1):
        raise InvalidInputError(
            "a design effect is finite, of at least 1 row, with a freedom over 0 and at most 1, lasting at least 0 and "
            f"under 1; not {data}"
        )
    return found
