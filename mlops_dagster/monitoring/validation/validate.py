"""Validation of batches and training sets by Great Expectations.

Great Expectations takes about 6 ms for each expectation, however few the rows are: 0.2 s for the suite of an hour with
37 flights. So hours are validated together, and only hours with unexpected values are validated one by one.
"""

import functools
import threading
from collections import Counter
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeVar

from mlops_dagster.monitoring.validation import frame_checks as odd_frames
from mlops_dagster.monitoring.validation.expectations.distribution import is_close
from mlops_dagster.monitoring.validation.expectations.suite import DEFAULTS
from mlops_dagster.monitoring.validation.expectations.tolerance import (
    Kind,
    allowing_for_chance,
    beyond_asked,
    expectations_for,
)
from mlops_dagster.monitoring.validation.redaction import without_values

if TYPE_CHECKING:
    import pandas as pd
    from great_expectations import ExpectationSuite
    from great_expectations.core.batch_definition import BatchDefinition
    from great_expectations.core.expectation_validation_result import ExpectationSuiteValidationResult
    from great_expectations.expectations.expectation import Expectation

Key = TypeVar("Key", bound=Hashable)

_ONE_BATCH = threading.Lock()
"""Great Expectations keeps the rows with the data source: one of two threads would validate the rows of the other."""

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
"""Expectations that fail in a batch only by a value that fails among all rows too, or by columns and types."""


@dataclass(frozen=True, slots=True)
class ValidationResult:
    """The result of a suite. An hour without rows, or without applicable expectations, neither passed nor failed.

    Nor did a batch with an expectation that could not be evaluated, while no other expectation failed: its verdict is
    "error".
    """

    rows: int
    failures: tuple[str, ...] = ()
    expectations: int = field(default=0, compare=False)
    """The number of expectations that applied: if it is 0, nothing is known of the rows."""
    found: "ExpectationSuiteValidationResult | None" = field(default=None, compare=False, repr=False)
    """The result that data docs show; batches that passed together share the result of all of them."""
    doubts: tuple[str, ...] = ()
    """Shares over their limits that so few rows may have by chance: they neither fail the batch nor prove it good."""
    errors: tuple[str, ...] = ()
    """Expectations that could not be evaluated, with the reasons: no evidence for or against the rows."""

    @property
    def passed(self) -> bool:
        return self.rows > 0 and self.expectations > 0 and not self.failures and not self.errors

    @property
    def verdict(self) -> str:
        """The verdict: "passed", "failed", "error" or "inconclusive"."""
        if self.passed:
            return "passed"
        nothing_asked = self.rows > 0 and self.expectations == 0
        if self.failures and not nothing_asked:
            return "failed"
        return "error" if self.errors else "inconclusive"


def validate(
    frame: "pd.DataFrame", suite: "ExpectationSuite", kind: Kind = "hour", *, alpha: float = DEFAULTS.alpha
) -> ValidationResult:
    """Validate one batch against the expectations for its kind; one that cannot be evaluated is an error.

    Shares (`mostly` under 1) fail when more values are unexpected than chance explains, as `alpha` of the policy says.
    An hour may be one without requests; a day to score or a training set without rows fails. So does a day or a
    training set for which the suite has no applicable expectation; an hour without one is inconclusive.
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
    except Exception as error:  # any error of Great Expectations: a gate that broke stays closed
        reason = f"the batch could not be validated: {type(error).__name__}"  # the text of the error may quote a row
        return ValidationResult(len(frame), expectations=len(asked), errors=(reason,))


def validate_each(
    batches: "Mapping[Key, pd.DataFrame]",
    suite: "ExpectationSuite",
    *,
    alpha: float = DEFAULTS.alpha,
) -> dict[Key, ValidationResult]:
    """Validate the batch of every hour like `validate`, in a fraction of the time when most of them pass.

    All rows are validated at once. A batch that has no more unexpected values among them than the suite allows would
    pass alone too; the other batches, and all batches if anything but single values failed, are validated one by one.
    So are batches with an expectation that cannot be judged row by row: a mean, or a distribution near its limit.
    """
    alone: set[Key] = set()
    together: dict[Key, pd.DataFrame] = {}
    for key, frame in batches.items():
        asked = expectations_for(suite, "hour", len(frame))
        if asked and all(is_row_by_row(each) or is_close(each, frame) for each in asked):
            together[key] = frame
        else:
            alone.add(key)
    suspects, found = _suspects({key: frame for key, frame in together.items() if not frame.empty}, suite, alpha)
    return {
        key: validate(frame, suite, alpha=alpha)
        if key in alone | suspects or frame.empty
        else ValidationResult(len(frame), (), len(expectations_for(suite, "hour", len(frame))), found)
        for key, frame in batches.items()
    }


def is_row_by_row(expectation: "Expectation") -> bool:
    """Return whether the expectation judges each value by itself, and does so for all rows."""
    # The number of rows of each batch that meet a row condition is not known.
    return expectation.expectation_type in _ROW_BY_ROW and getattr(expectation, "row_condition", None) is None


def _part(
    suite: "ExpectationSuite", asked: "list[Expectation]", frame: "pd.DataFrame", alpha: float
) -> "ExpectationSuite":
    from great_expectations import ExpectationSuite

    return ExpectationSuite(name=suite.name, expectations=[allowing_for_chance(each, frame, alpha) for each in asked])


def _suspects(
    batches: "Mapping[Key, pd.DataFrame]", suite: "ExpectationSuite", alpha: float
) -> "tuple[set[Key], ExpectationSuiteValidationResult | None]":
    """Return the batches that may fail alone, and the result of all batches together."""
    import pandas as pd

    if len(batches) < 2 or len({tuple(frame.dtypes.items()) for frame in batches.values()}) > 1:
        return set(batches), None
    keys = list(batches)
    numbered = [frame.assign(**{_BATCH: number}) for number, frame in enumerate(batches.values())]
    try:
        frame = pd.concat(numbered, ignore_index=True)
        # Most expectations apply to the largest batch. A smaller one that fails an inapplicable one passes alone.
        asked = expectations_for(suite, "hour", max(map(len, batches.values())))
        part = _part(suite, asked, frame, alpha)
        found = run(frame, part, {"result_format": "COMPLETE", "unexpected_index_column_names": [_BATCH]})
    except Exception:  # the validation of each batch alone will give the reason
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
    """Return the result of Great Expectations for the frame; its errors are passed on."""
    with _ONE_BATCH:
        batch = _batches().get_batch({"dataframe": frame})
        return batch.validate(suite, result_format=dict(result_format))


@functools.cache
def _batches() -> "BatchDefinition[None]":
    """Return the one access to Great Expectations: a context in memory, without progress bars and telemetry."""
    import great_expectations
    from great_expectations.data_context.types.base import ProgressBarsConfig

    context = great_expectations.get_context(mode="ephemeral")
    context.enable_analytics(False)
    context.variables.progress_bars = ProgressBarsConfig(globally=False, metric_calculations=False)
    frames = context.data_sources.add_pandas("frames").add_dataframe_asset("frame")
    return frames.add_batch_definition_whole_dataframe("whole")
