"""Redaction of validation results: they keep counts and values that the suite names, and no other value of a row.

The values of a row are kept in quarantine only: reasons are sent to every client of a model on hold, alerts reach chat
rooms, and events are kept for ever.
"""

import re
from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from great_expectations.core.expectation_validation_result import (
        ExpectationSuiteValidationResult,
        ExpectationValidationResult,
    )

OTHERS = "values that the suite does not name"

_COUNTS = (
    "element_count",
    "missing_count",
    "missing_percent",
    "unexpected_count",
    "unexpected_percent",
    "unexpected_percent_total",
    "unexpected_percent_nonmissing",
)
_OF_MANY_ROWS = re.compile(r"_(count|mean|stdev|sum|proportion|kl_divergence)_")
"""Expectations whose observed number is of all rows; a maximum, a median or a quantile is the value of one row."""
_OF_TYPE = re.compile(r"_of_type$|_in_type_list$")
_RAISED = re.compile(r"^([\w.]+)(?=:|$)")


def without_values(found: "ExpectationSuiteValidationResult") -> "ExpectationSuiteValidationResult":
    """Remove every value of a row from the validation result, in place, and return the result."""
    for result in found.results:
        _without_values(result)
    return found


def _without_values(result: "ExpectationValidationResult") -> None:
    asked = result.expectation_config
    name, named = ("", set[str]()) if asked is None else (asked.type, {*_texts(asked.kwargs)})
    observed = result.result
    kept: dict[str, object] = {key: observed[key] for key in _COUNTS if key in observed}
    if _OF_TYPE.search(name):
        kept["unexpected_types"] = sorted({type(each).__name__ for each in observed.get("partial_unexpected_list", [])})
        if isinstance(observed.get("observed_value"), str):
            kept["observed_value"] = observed["observed_value"]
    elif (value := observed.get("observed_value")) is not None:
        kept["observed_value"] = _observed(name, value, named)
    if "details" in observed:
        kept["details"] = _details(observed["details"], named)
    result.result = kept
    result.exception_info = _exception(result.exception_info or {})


def _observed(name: str, value: object, named: Collection[str]) -> object:
    match value:
        case bool() | int() | float() if _OF_MANY_ROWS.search(name):
            return value
        case _ if isinstance(value, Iterable) and not isinstance(value, str | Mapping):
            several = list(value)
            return f"{sum(each not in named for each in several)} of {len(several)} are {OTHERS}"
        case Mapping():
            return {}  # of quantiles, for example: the renderer of pages expects a mapping
        case _:
            return "another value"


def _details(details: object, named: Collection[str]) -> dict[str, object]:
    """Return the missing columns, and the shares of a distribution; values that are not named are one entry."""
    kept: dict[str, object] = {}
    match details:
        case {"mismatched": {"missing": [*columns]}}:
            kept["mismatched"] = {"missing": [column for column in columns if column in named]}
        case {"observed_partition": observed, "expected_partition": expected}:  # which also has the observed values
            kept = {
                "observed_partition": _partition(observed, named),
                "expected_partition": _partition(expected, named),
            }
    return kept


def _partition(partition: object, named: Collection[str]) -> object:
    match partition:
        case {"values": [*values], "weights": [*weights]}:
            shares: dict[object, float] = {}
            for value, weight in zip(values, weights, strict=True):
                place = value if value in named else OTHERS
                shares[place] = shares.get(place, 0.0) + weight
            return {"values": list(shares), "weights": list(shares.values())}
        case _:
            return partition  # bins come from the suite


def _texts(asked: object) -> "list[str]":
    """Return every text in the arguments of an expectation."""
    match asked:
        case str():
            return [asked]
        case Mapping():
            return [text for key, value in asked.items() for each in (key, value) for text in _texts(each)]
        case [*several]:
            return [text for each in several for text in _texts(each)]
        case _:
            return []


def _exception(info: Mapping[str, object]) -> dict[str, object]:
    """Return the class of the error that was raised, if any: the report is flat, or has an entry for each metric."""
    raised = [each for each in (info, *info.values()) if isinstance(each, Mapping) and each.get("raised_exception")]
    if not raised:
        return {"raised_exception": False, "exception_message": None, "exception_traceback": None}
    last_line = str(raised[0].get("exception_traceback") or "").strip().rpartition("\n")[2]
    found = _RAISED.match(last_line)
    kind = found[1].rpartition(".")[2] if found else "an error"
    return {"raised_exception": True, "exception_message": kind, "exception_traceback": ""}
