"""Validation: Great Expectations on every batch, and on training sets.

It takes about 6 ms for each expectation, however few the rows are: 0.2 s for the suite of an hour with 37
flights. So hours are validated together, and only those that hold something unexpected one by one.
"""

import functools
import threading
from collections import Counter
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeVar

from mlops_dagster.monitoring.validation import frame_checks as odd_frames
from mlops_dagster.monitoring.validation.distribution import is_close
from mlops_dagster.monitoring.validation.expectations import DEFAULTS
from mlops_dagster.monitoring.validation.redaction import without_values
from mlops_dagster.monitoring.validation.tolerance import Kind, allowing_for_chance, beyond_asked, expectations_for

if TYPE_CHECKING:
    import pandas as pd
    from great_expectations import ExpectationSuite
    from great_expectations.core.batch_definition import BatchDefinition
    from great_expectations.core.expectation_validation_result import ExpectationSuiteValidationResult
    from great_expectations.expectations.expectation import Expectation

Key = TypeVar("Key", bound=Hashable)

_ONE_BATCH = threading.Lock()
"""Great Expectations keeps the rows with the data source: of two threads, one would validate the rows of the other."""

_BATCH = "__batch__"
_BASIC: Mapping[str, object] = MappingProxyType({"result_format": "BASIC"})
_ROW_BY_ROW = {
    "expect_table_columns_to_match_set",
    "expect_column_to_exist",
    "expect_column_values_to_be_of_type",
    "expect_column_values_to_be_in_type_list",
    "expect_column_values_to_be_null",
    "expect_column_values_to_not_be_null",
    "expect_column_values_to_be_between",
    "expect_column_values_to_be_in_set",
    "expect_column_values_to_not_be_in_set",
    "expect_column_values_to_match_regex",
    "expect_column_values_to_not_match_regex",
    "expect_column_value_lengths_to_be_between",
}
"""What can only fail in a batch by a value that fails among all rows too, or by columns and types."""


@dataclass(frozen=True, slots=True)
class ValidationResult:
    """What a suite found. An hour without rows, or of which nothing is asked, has neither passed nor failed.

    Nor has a batch of which something could not be evaluated, while nothing is proven against it: that is an error.
    """

    rows: int
    failures: tuple[str, ...] = ()
    expectations: int = field(default=0, compare=False)
    """How many were asked of it: without any, nothing is known."""
    found: "ExpectationSuiteValidationResult | None" = field(default=None, compare=False, repr=False)
    """What data docs show. Batches that are clean share that of all they were validated with."""
    doubts: tuple[str, ...] = ()
    """Shares over what was asked for that so few rows have by chance. They fail nothing, and prove nothing is well."""
    errors: tuple[str, ...] = ()
    """What could not be evaluated, and why: neither good nor bad."""

    @property
    def passed(self) -> bool:
        return self.rows > 0 and self.expectations > 0 and not self.failures and not self.errors

    @property
    def verdict(self) -> str:
        """One of "passed", "failed", "error" and "inconclusive"."""
        if self.passed:
            return "passed"
        nothing_asked = self.rows > 0 and self.expectations == 0
        if self.failures and not nothing_asked:
            return "failed"
        return "error" if self.errors else "inconclusive"


def validate(
    frame: "pd.DataFrame", suite: "ExpectationSuite", kind: Kind = "hour", *, alpha: float = DEFAULTS.alpha
) -> ValidationResult:
    """Hold one batch against what the suite asks of its kind. What cannot be evaluated is an error, with the reason.

    Shares (`mostly` under 1) fail when more values are unexpected than chance explains, as `alpha` of the policy says.
    An hour may be one in which nobody asked; a day to score or a training set without rows has failed. So has one of
    which the suite asks nothing: only of an hour that is nobody's business.
    """
    from mlops_dagster.monitoring.validation.messages import doubts, errors, failures

    asked = expectations_for(suite, kind, len(frame))
    if len(frame) == 0:
        return ValidationResult(0, () if kind == "hour" else ("there are no rows",), len(asked))
    if not asked:
        reason = f"the suite {suite.name} asks nothing of a {kind} of {len(frame)} rows"
        return ValidationResult(len(frame), () if kind == "hour" else (reason,))
    if reasons := odd_frames.names_given_twice(frame):
        return ValidationResult(len(frame), reasons, len(asked))
    frame = odd_frames.as_asked(frame, asked)
    if reasons := odd_frames.others_than_numbers(frame, asked):
        return ValidationResult(len(frame), reasons, len(asked))
    try:
        found = without_values(run(frame, _part(suite, asked, frame, alpha)))
        return ValidationResult(len(frame), failures(found), len(asked), found, doubts(found), errors(found))
    except Exception as error:  # whatever Great Expectations raises: a gate that broke is closed
        reason = f"the batch could not be validated: {type(error).__name__}"  # whose text may tell of a row
        return ValidationResult(len(frame), expectations=len(asked), errors=(reason,))


def validate_each(
    batches: "Mapping[Key, pd.DataFrame]",
    suite: "ExpectationSuite",
    kind: Kind = "hour",
    *,
    alpha: float = DEFAULTS.alpha,
) -> dict[Key, ValidationResult]:
    """`validate` of every batch, in a fraction of the time when most of them pass.

    All rows are validated at once. A batch with no more unexpected values in there than were asked for passes by itself
    too; the others, and all of them if anything but single values failed, are validated one by one. So are batches
    of which more is asked than can be said row by row: a mean, or a distribution whose limit they come near.
    """
    alone: set[Key] = set()
    together: dict[Key, pd.DataFrame] = {}
    for key, frame in batches.items():
        asked = expectations_for(suite, kind, len(frame))
        if asked and all(is_row_by_row(each) or is_close(each, frame) for each in asked):
            together[key] = frame
        else:
            alone.add(key)
    suspects, found = _suspects({key: frame for key, frame in together.items() if not frame.empty}, suite, kind, alpha)
    return {
        key: validate(frame, suite, kind, alpha=alpha)
        if key in alone | suspects or frame.empty
        else ValidationResult(len(frame), (), len(expectations_for(suite, kind, len(frame))), found)
        for key, frame in batches.items()
    }


def is_row_by_row(expectation: "Expectation") -> bool:
    """Whether the expectation asks each value by itself, of all rows."""
    # Of how many rows a condition holds in each batch is not known.
    return expectation.expectation_type in _ROW_BY_ROW and getattr(expectation, "row_condition", None) is None


def _part(
    suite: "ExpectationSuite", asked: "list[Expectation]", frame: "pd.DataFrame", alpha: float
) -> "ExpectationSuite":
    from great_expectations import ExpectationSuite

    return ExpectationSuite(name=suite.name, expectations=[allowing_for_chance(each, frame, alpha) for each in asked])


def _suspects(
    batches: "Mapping[Key, pd.DataFrame]", suite: "ExpectationSuite", kind: Kind, alpha: float
) -> "tuple[set[Key], ExpectationSuiteValidationResult | None]":
    """The batches that may fail by themselves, and what was found in all of them together."""
    import pandas as pd

    if len(batches) < 2 or len({tuple(frame.dtypes.items()) for frame in batches.values()}) > 1:
        return set(batches), None
    keys = list(batches)
    numbered = [frame.assign(**{_BATCH: number}) for number, frame in enumerate(batches.values())]
    try:
        frame = pd.concat(numbered, ignore_index=True)
        # Of the largest is asked most. A smaller one, suspected for more than is asked of it, passes by itself.
        asked = expectations_for(suite, kind, max(map(len, batches.values())))
        part = _part(suite, asked, frame, alpha)
        found = run(frame, part, {"result_format": "COMPLETE", "unexpected_index_column_names": [_BATCH]})
    except Exception:  # each batch will tell why by itself
        return set(keys), None
    suspects: set[Key] = set()
    for result in found.results:
        unexpected = Counter(keys[row[_BATCH]] for row in result.result.get("unexpected_index_list") or [])
        asked_for = result.expectation_config
        if asked_for is None or (not result.success and not unexpected):
            return set(keys), None
        suspects.update(key for key, count in unexpected.items() if beyond_asked(asked_for, batches[key], count))
    return suspects, without_values(found)


def run(
    frame: "pd.DataFrame", suite: "ExpectationSuite", result_format: Mapping[str, object] = _BASIC
) -> "ExpectationSuiteValidationResult":
    """What Great Expectations says of the frame; what it raises is its own."""
    with _ONE_BATCH:
        batch = _batches().get_batch({"dataframe": frame})
        return batch.validate(suite, result_format=dict(result_format))


@functools.cache
def _batches() -> "BatchDefinition[None]":
    """The one way into Great Expectations: a context in memory, without progress bars and without telemetry."""
    import great_expectations
    from great_expectations.data_context.types.base import ProgressBarsConfig

    context = great_expectations.get_context(mode="ephemeral")
    context.enable_analytics(False)
    context.variables.progress_bars = ProgressBarsConfig(globally=False, metric_calculations=False)
    frames = context.data_sources.add_pandas("frames").add_dataframe_asset("frame")
    return frames.add_batch_definition_whole_dataframe("whole")
