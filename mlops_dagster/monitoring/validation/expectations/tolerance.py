"""The expectations of a suite that apply to a batch, by the kind of batch and its number of rows."""

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Literal

from mlops_dagster.statistics import most_by_chance

if TYPE_CHECKING:
    import pandas as pd
    from great_expectations import ExpectationSuite
    from great_expectations.expectations.expectation import Expectation
    from great_expectations.expectations.expectation_configuration import ExpectationConfiguration

Kind = Literal["hour", "day", "training_set"]
"""The kind of a batch: the rows served in an hour, the rows of a day to score, or labelled rows to train on."""

_OF_ALL_ROWS = ("expect_column_values_to_not_be_null", "expect_column_values_to_be_null")
"""Expectations of all rows; all others are of the values that are not missing."""


def expectations_for(suite: "ExpectationSuite", kind: Kind, rows: int) -> "list[Expectation]":
    """Return the expectations of the suite that apply to a batch of this kind and size: see `suite_for`."""
    return [each for each in suite.expectations if _applies(each.meta or {}, kind, rows)]


def _applies(meta: Mapping[str, object], kind: Kind, rows: int) -> bool:
    kinds, least = meta.get("batches"), meta.get("min_batch_rows")
    return not (
        (isinstance(kinds, Collection) and kind not in kinds) or (isinstance(least, int | float) and rows < least)
    )


def allowing_for_chance(expectation: "Expectation", frame: "pd.DataFrame", alpha: float) -> "Expectation":
    """Lower `mostly` so that this batch fails only if more values are unexpected than chance explains.

    So Great Expectations and its data docs give the same verdict as this package. The original share stays in the
    `meta`, as `mostly`, with the number of values that chance explains, as `by_chance`. The expectation is returned
    unchanged without a share (`mostly` is 1), and with a `row_condition`: the number of rows that meet it is not known
    here.
    """
    asked = expectation.configuration
    values = _values(asked, frame)
    if _mostly(asked) >= 1 or values == 0 or asked.kwargs.get("row_condition") is not None:
        return expectation
    rows_per_observation = (asked.meta or {}).get("rows_per_observation", 1.0)
    most = most_by_chance(values, 1 - _mostly(asked), alpha=alpha, rows_per_observation=rows_per_observation)
    meta = {**(expectation.meta or {}), "mostly": _mostly(asked), "by_chance": most}
    return expectation.copy(update={"mostly": (values - most) / values, "meta": meta})


def beyond_asked(asked: "ExpectationConfiguration", frame: "pd.DataFrame", unexpected: int) -> bool:
    """Return whether so many unexpected values of this batch exceed the share of the suite, by chance or not."""
    values = _values(asked, frame)
    return (values - unexpected) / values < _mostly(asked)


def _mostly(asked: "ExpectationConfiguration") -> float:
    mostly = (asked.meta or {}).get("mostly", asked.kwargs.get("mostly", 1.0))
    return float(mostly) if isinstance(mostly, int | float) else 1.0


def _values(asked: "ExpectationConfiguration", frame: "pd.DataFrame") -> int:
    """Return the number of values that the share is of; all rows, if the expectation is of several columns."""
    column = asked.kwargs.get("column")
    if asked.type in _OF_ALL_ROWS or column not in frame:
        return len(frame)
    return int(frame[column].notna().sum())
