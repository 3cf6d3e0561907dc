"""What a failed validation says: one line for each expectation, with what was found and what was asked for."""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

from mlops_dagster.monitoring.validation.distribution import KL

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
    """Arguments as they are told; those that were left out are open ends."""

    def __getitem__(self, key: str) -> object:
        value = self.get(key)
        if value is None:
            return "any"
        return f"{value:g}" if isinstance(value, float) else value


def failures(found: "ExpectationSuiteValidationResult") -> tuple[str, ...]:
    """The reasons of all that failed, but for what was asked as a warning; of a column that is not there, only that."""
    absent, others = _failed(found)
    reasons = [f"{column}: there is no such column" for column in sorted(absent)]
    return tuple(reasons + [reason_of(result) for result in others if not could_not_be_evaluated(result)])


def errors(found: "ExpectationSuiteValidationResult") -> tuple[str, ...]:
    """What could not be evaluated, and why; nothing of a column that is not there."""
    return tuple(reason_of(result) for result in _failed(found)[1] if could_not_be_evaluated(result))


def could_not_be_evaluated(result: "ExpectationValidationResult") -> bool:
    """Whether evaluating it raised something: that says nothing of the rows."""
    return _raised(result.exception_info or {}) is not None


def _failed(found: "ExpectationSuiteValidationResult") -> "tuple[set[str], list[ExpectationValidationResult]]":
    """The columns that are not there, and the results of the others that are no success; without warnings."""
    failed = [result for result in found.results if not result.success and not _warns(result)]
    absent = {column for result in failed for column in _absent(result)}
    return absent, [each for each in failed if _arguments(each).get("column") not in absent and not _absent(each)]


def doubts(found: "ExpectationSuiteValidationResult") -> tuple[str, ...]:
    """The shares that are over what was asked for and passed because chance explains them, and failed warnings."""
    return tuple(
        reason_of(result) for result in found.results if (_is_doubtful(result) if result.success else _warns(result))
    )


def _warns(result: "ExpectationValidationResult") -> bool:
    """Whether it was asked with a `severity` of "warning" or "info"."""
    return result.expectation_config is not None and result.expectation_config.severity != "critical"


def _is_doubtful(result: "ExpectationValidationResult") -> bool:
    values, unexpected = _values(result), result.result.get("unexpected_count") or 0
    return values > 0 and (values - unexpected) / values < _mostly(result)


def _absent(result: "ExpectationValidationResult") -> list[str]:
    """The columns that the expectation of a set of columns, or of one, did not find."""
    match result.result:
        case {"details": {"mismatched": {"missing": [*columns]}}}:
            return columns
        case {} if result.expectation_config and result.expectation_config.type == "expect_column_to_exist":
            return [str(_arguments(result)["column"])]
        case _:
            return []


def reason_of(result: "ExpectationValidationResult") -> str:
    """What was found, and what was asked for, in one line."""
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
    """Which rule of `validation` a batch has failed, by how much it is `over` the limit: what it is, and would be."""
    rule = _meta(result).get("rule")
    if result.success or not isinstance(rule, Mapping):
        return ""
    ((name, value),) = rule.items()
    would = f", {math.ceil(round(100 * (value + over), 6)) / 100:g} would allow it" if math.isfinite(over) else ""
    return f" (`validation: {{{name}: {value:g}}}`{would})"


def _in_words(name: str, arguments: Mapping[str, object]) -> str:
    """The expectation with what was asked for, beside its column and the share."""
    asked = [f"{key} {value!r}" for key, value in arguments.items() if key not in _NOT_ASKED and value is not None]
    return f"{name} ({', '.join(asked)})" if asked else name


def _observed(observed: Mapping[str, object]) -> str:
    value = observed.get("observed_value")
    if isinstance(value, float):
        return f"{value:g}"
    return "another value" if value in (None, {}) else str(value)


def _values(result: "ExpectationValidationResult") -> int:
    """How many values the share is of: those that are there, unless it is of the missing ones."""
    return int((result.result.get("element_count") or 0) - (result.result.get("missing_count") or 0))


def _number(value: object) -> float:
    return value if isinstance(value, int | float) else math.nan


def _mostly(result: "ExpectationValidationResult") -> float:
    """As it was asked for, before chance was allowed for."""
    mostly = _meta(result).get("mostly", _arguments(result).get("mostly"))
    return float(mostly) if isinstance(mostly, int | float) else 1.0


def _meta(result: "ExpectationValidationResult") -> Mapping[str, object]:
    return (result.expectation_config.meta if result.expectation_config else None) or {}


def _distributed(observed: Mapping[str, object], limit: object) -> str:
    """How far a distribution is off, and where most of it is now."""
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
    """Shares by place: a value, or from where to where on the line."""
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
    """The class of what was raised, if anything was."""
    return str(info["exception_message"]) if info.get("raised_exception") else None
