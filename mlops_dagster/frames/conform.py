"""Conversion of frames to the columns of a schema; frames that do not fit are refused with the code to write."""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from mlops_dagster.errors import InvalidInputError
from mlops_dagster.frames import columns
from mlops_dagster.schema import Feature, ModelSchema

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd

    Values: TypeAlias = "npt.NDArray[np.float64] | npt.NDArray[np.object_]"

LABEL: Final = "label"
TIME: Final = "event_time"

_NAMED: Final = 10


def conform(frame: "pd.DataFrame", schema: ModelSchema, *beside: str) -> "pd.DataFrame":
    """Return the rows with the features of `schema`, and `LABEL` or `TIME` if named, converted by `columns`.

    Further columns stay as they are; the index becomes 0, 1, 2... Raises InvalidInputError with a reason for each
    column that is absent, exists twice or holds other values, and the code to write instead.
    """
    if reasons := _names(frame, [*schema.names, *beside]):
        raise InvalidInputError("; ".join(reasons))
    frame = frame.reset_index(drop=True)
    makers = {feature.name: _MAKERS[feature.kind] for feature in schema.features} | {
        name: _MAKERS[name] for name in beside
    }
    made: dict[str, Any] = {}
    errors = []
    for name, make in makers.items():
        try:
            made[name] = make(frame[name])
        except InvalidInputError as error:
            errors.append(error)
    if errors:
        raise InvalidInputError("; ".join(e.message for e in errors), told="; ".join(e.told for e in errors))
    return frame.assign(**made)


def as_far_as_possible(frame: "pd.DataFrame", numeric: Iterable[str], categorical: Iterable[str]) -> "pd.DataFrame":
    """Return the rows with these columns converted where possible; a suite is to judge the others.

    >>> import pandas as pd
    >>> frame = pd.DataFrame({"small": [1], "large": [2**60], "gate": [7]})
    >>> as_far_as_possible(frame, ["small", "large"], ["gate"]).to_dict("list")
    {'small': [1.0], 'large': [1152921504606846976], 'gate': ['7']}
    """
    once = set(frame.columns[~frame.columns.duplicated(keep=False)])
    made: dict[str, Any] = {}
    for kind, names in (("numeric", numeric), ("categorical", categorical)):
        for name in sorted(once & set(names)):
            try:
                made[name] = _MAKERS[kind](frame[name])
            except InvalidInputError:
                continue
    return frame.assign(**made) if made else frame


def values_of(frame: "pd.DataFrame", feature: Feature) -> "Values":
    """Return the values of one feature as `columns` converts them; raises InvalidInputError if it cannot."""
    found: Values = _MAKERS[feature.kind](frame[feature.name])
    return found


def check_window(frame: "pd.DataFrame", start: datetime, end: datetime) -> None:
    """Raise InvalidInputError if rows have times outside [start, end), with their number and an example."""
    outside = (frame[TIME] < start) | (frame[TIME] >= end)
    if not outside.any():
        return
    window = f"[{start:%Y-%m-%d %H:%M}, {end:%Y-%m-%d %H:%M})"
    said = f"{int(outside.sum())} of {len(frame)} rows have an {TIME!r} outside of {window}, which was asked for"
    way = "give the rows of that window only, and mend times that cannot be"
    example = frame[TIME][outside].iloc[0]
    raise InvalidInputError(f"{said}, such as {example:%Y-%m-%d %H:%M}; {way}", told=f"{said}; {way}")


_MAKERS: Final[Mapping[str, "Callable[[pd.Series[Any]], Any]"]] = MappingProxyType(
    {"numeric": columns.numbers, "categorical": columns.texts, LABEL: columns.texts, TIME: columns.times}
)
"""The conversions by the kind of a feature, or by the name of another column."""


def _names(frame: "pd.DataFrame", wanted: Iterable[str]) -> list[str]:
    """Return a reason for each name that no column has, or several have."""
    reasons = []
    there = list(frame.columns)
    for name in wanted:
        if (times := there.count(name)) > 1:
            reasons.append(f"{times} columns are called {name!r}; leave one")
        elif not times:
            named = ", ".join(map(str, there[:_NAMED])) + (f" and {len(there) - _NAMED} more" if there[_NAMED:] else "")
            way = "write `frame.columns = frame.columns.astype(str)`" if name in map(str, there) else "add it"
            reasons.append(f"there is no column {name!r}, but {named or 'none at all'}; {way}")
    return reasons
