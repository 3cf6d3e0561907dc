"""The messages of a failed validation: one line for each expectation, with the finding and the expectation."""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

from mlops_dagster.monitoring.validation.expectations.distribution import KL

if TYPE_CHECKING:
    from great_expectations.core.expectation_validation_result import (
        ExpectationSuiteValidationResult,
        ExpectationValidationResult,
    )

_SAID = {
    "expect_column_values_to_not_be_null": "missing",
    "expect_column_values_to_be_between": "outside {min_value} to {max_value}",
    "expect_column_values_to_be_in_set": "none of the known ones",
    "expect_column_values_to_be_of_type": "not of type {type_}",
}

_NOT_ASKED = {"batch_id", "column", "mostly"}


class _Told(dict[str, object]):
    """The arguments of an expectation as a message shows them; an argument that was left out is "any"."""

    def __getitem__(self, key: str) -> object:
        value = self.get(key)
        if value is None:
            return "any"
        return f"{value:g}" if isinstance(value, float) else value


def failures(found: "ExpectationSuiteValidationResult") -> tuple[str, ...]:
    """Return the reasons of all failures that are not warnings; of a missing column, only that it is missing."""
    absent, others = _failed(found)
    reasons = [f"{column}: there is no such column" for column in sorted(absent)]
    return tuple(reasons + [reason_of(result) for result in others if not could_not_be_evaluated(result)])


def errors(found: "ExpectationSuiteValidationResult") -> tuple[str, ...]:
    """Return each expectation that could not be evaluated, with the reason; none of a column that is missing."""
    return tuple(reason_of(result) for result in _failed(found)[1] if could_not_be_evaluated(result))


def could_not_be_evaluated(result: "ExpectationValidationResult") -> bool:
    """Return whether evaluating the expectation raised an error: then nothing is known of the rows."""
    return _raised(result.exception_info or {}) is not None


def _failed(found: "ExpectationSuiteValidationResult") -> "tuple[set[str], list[ExpectationValidationResult]]":
    """Return the missing columns, and the failed results of all other columns; without warnings."""
    failed = [result for result in found.results if not result.success and not _warns(result)]
    absent = {column for result in failed for column in _absent(result)}
    return absent, [each for each in failed if _arguments(each).get("column") not in absent and not _absent(each)]


def doubts(found: "ExpectationSuiteValidationResult") -> tuple[str, ...]:
    """Return the reasons of shares over their limits that passed since chance explains them, and of failed warnings."""
    return tuple(
        reason_of(result) for result in found.results if (_is_doubtful(result) if result.success else _warns(result))
    )


def _warns(result: "ExpectationValidationResult") -> bool:
    """Return whether the expectation has a `severity` of "warning" or "info"."""
    return result.expectation_config is not None and result.expectation_config.severity != "critical"


def _is_doubtful(result: "ExpectationValidationResult") -> bool:
    values, unexpected = _values(result), result.result.get("unexpected_count") or 0
    return values > 0 and (values - unexpected) / values < _mostly(result)


def _absent(result: "ExpectationValidationResult") -> list[str]:
    """Return the columns that an expectation of a set of columns, or of one column, did not find."""
    match result.result:
        case {"details": {"mismatched": {"missing": [*columns]}}}:
            return columns
        case {} if result.expectation_config and result.expectation_config.type == "expect_column_to_exist":
            return [str(_arguments(result)["column"])]
        case _:
            return []


def reason_of(result: "ExpectationValidationResult") -> str:
    """Return the finding and the expectation, in one line."""
    name = result.expectation_config.type if result.expectation_config else "an expectation"
    arguments, observed = _arguments(result), result.result
    subject = arguments.get("column", "the batch")
    raised = _raised(result.exception_info or {})
    if raised is not None:
        return f"{subject}: {name} could not be evaluated: {raised}"
    if name == KL:
        rule = _rule(result, over=_number(observed.get("observed_value")) - _number(arguments.get("threshold")))
        return f"{subject}: {_distributed(observed, _Told(arguments)['threshold'])}{rule}"
    of_type = name == "expect_column_values_to_be_of_type"
    if of_type and "unexpected_count" not in observed:
        return f"{subject}: is of type {observed.get('observed_value')}, not {arguments.get('type_')}"
    if "element_count" not in observed:
        return f"{subject}: {_in_words(name, arguments)} failed, found: {_observed(observed)}"
    said = _SAID[name].format_map(_Told(arguments)) if name in _SAID else f"not as {_in_words(name, arguments)} has it"
    types = observed.get("unexpected_types")
    but = f" but {', '.join(types)}" if types else ""
    by_chance = _meta(result).get("by_chance")
    unexpected, values, most = observed["unexpected_count"], _values(result), 1 - _mostly(result)
    return (
        f"{subject}: {unexpected} of {values} values are {said}{but}; at most {most:.1%} may be"
        + ("" if by_chance is None else f", by chance {by_chance}")
        + _rule(result, over=unexpected / values - most if values else math.nan)
    )


def _rule(result: "ExpectationValidationResult", *, over: float) -> str:
    """Return the rule of `validation` that a batch has failed, and the value with which the batch would have passed.

    `over` is the distance of the batch from the limit; if it is NaN, no such value is given. "" without a failed rule.
    """
    rule = _meta(result).get("rule")
    if result.success or not isinstance(rule, Mapping):
        return ""
    ((name, value),) = rule.items()
    would = f", {math.ceil(round(100 * (value + over), 6)) / 100:g} would allow it" if math.isfinite(over) else ""
    return f" (`validation: {{{name}: {value:g}}}`{would})"


def _in_words(name: str, arguments: Mapping[str, object]) -> str:
    """Return the expectation with its arguments, without its column and the share."""
    asked = [f"{key} {value!r}" for key, value in arguments.items() if key not in _NOT_ASKED and value is not None]
    return f"{name} ({', '.join(asked)})" if asked else name


def _observed(observed: Mapping[str, object]) -> str:
    value = observed.get("observed_value")
    if isinstance(value, float):
        return f"{value:g}"
    return "another value" if value in (None, {}) else str(value)


def _values(result: "ExpectationValidationResult") -> int:
    """Return the number of values that the share is of: the present values, or all for a share of missing values."""
    return int((result.result.get("element_count") or 0) - (result.result.get("missing_count") or 0))


def _number(value: object) -> float:
    return value if isinstance(value, int | float) else math.nan


def _mostly(result: "ExpectationValidationResult") -> float:
    """Return the share `mostly` of the suite, before chance was allowed for."""
    mostly = _meta(result).get("mostly", _arguments(result).get("mostly"))
    return float(mostly) if isinstance(mostly, int | float) else 1.0


def _meta(result: "ExpectationValidationResult") -> Mapping[str, object]:
    return (result.expectation_config.meta if result.expectation_config else None) or {}


def _distributed(observed: Mapping[str, object], limit: object) -> str:
    """Return how far a distribution is from the baseline's, and the place that gained most."""
    value = observed.get("observed_value")
    now, before = (_partition(observed, which) for which in ("observed_partition", "expected_partition"))
    if not sum(now.values()) > 0:  # of no values at all the shares are NaN
        return "has no values whose distribution could be compared"
    distance = f"{value:.2f}" if isinstance(value, float) else "endlessly many"
    where = max(now, key=lambda place: now[place] - before.get(place, 0.0))
    return (
        f"is distributed otherwise, {distance} nats from the baseline, at most {limit} may be: "
        f"{now[where]:.0%} are {where}, where {before.get(where, 0.0):.0%} were"
    )


def _partition(observed: Mapping[str, object], which: str) -> dict[str, float]:
    """Return shares by place: a value, or a range of numbers."""
    match observed:
        case {"details": {**details}} if which in details:
            partition = details[which]
        case _:
            return {}
    match partition:
        case {"values": [*values], "weights": [*weights]}:
            return {f"{value}": weight for value, weight in zip(values, weights, strict=True)}
        case {"bins": [*bins], "weights": [*weights], "tail_weights": [below, above]}:
            inner = {f"{low:g} to {high:g}": w for low, high, w in zip(bins, bins[1:], weights, strict=False)}
            return {f"under {bins[0]:g}": below, **inner, f"over {bins[-1]:g}": above}
        case _:
            return {}


def _arguments(result: "ExpectationValidationResult") -> dict[str, object]:
    return dict(result.expectation_config.kwargs) if result.expectation_config else {}


def _raised(info: Mapping[str, object]) -> str | None:
    """Return the class of the error that was raised, or None."""
    return str(info["exception_message"]) if info.get("raised_exception") else None
