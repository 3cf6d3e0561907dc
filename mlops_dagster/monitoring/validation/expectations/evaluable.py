"""Checks, before any real batch, that a suite can be evaluated and met, on made-up rows.

The rows are made up from the schema, or from the baseline of a champion.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mlops_dagster.errors import InvalidSuiteError
from mlops_dagster.inference.trial import trial_columns
from mlops_dagster.registry.entities.baseline import Baseline
from mlops_dagster.schema import ModelSchema

if TYPE_CHECKING:
    import pandas as pd
    from great_expectations import ExpectationSuite
    from great_expectations.expectations.expectation import Expectation

_ROWS = 40
_LIKE_TRAINING = 1000
_OF_TYPES = ("expect_column_values_to_be_of_type", "expect_column_values_to_be_in_type_list")
"""Expectations that hold for all batches or for none, since columns have the types of the schema."""


def check_evaluable(suite: "ExpectationSuite", schema: ModelSchema, where: str) -> None:
    """Raise InvalidSuiteError naming each expectation that no batch could ever answer.

    Examples are an invalid pattern, a minimum over its maximum, a mean of words: they fail for any rows, so a good hour
    would look bad. The rows here are made up, so the reasons disclose no real data.
    """
    frame, reasons = made_up_rows(schema), []
    for number, expectation in enumerate(suite.expectations, 1):
        if (why := _never(expectation, frame) or _contradiction(expectation.configuration.kwargs, schema)) is not None:
            reasons.append(f"expectation {number} ({expectation.expectation_type}): {why}")
    if reasons:
        raise InvalidSuiteError(f"{where} cannot be evaluated on any rows: {'; '.join(reasons)}")


def check_met(
    suite: "ExpectationSuite", schema: ModelSchema, baseline: Baseline, *, alpha: float, where: str, whose: str
) -> None:
    """Raise InvalidSuiteError if hours whose values are as often what they were in training would fail.

    Each column is drawn by itself from the counts of its baseline, so only what is asked value by value can be told.
    `whose` is the version that was trained on it.
    """
    import pandas as pd
    from great_expectations import ExpectationSuite

    from mlops_dagster.monitoring.validation.validate import is_row_by_row, validate

    known = [each for each in suite.expectations if is_row_by_row(each)]
    drawn = trial_columns(schema, baseline, _LIKE_TRAINING)
    types = {feature.name: "float64" if feature.kind == "numeric" else "object" for feature in schema.features}
    found = validate(
        pd.DataFrame(drawn).astype(types), ExpectationSuite(name=suite.name, expectations=known), "hour", alpha=alpha
    )
    if found.failures:
        raise InvalidSuiteError(
            f"{where} fails rows like those that {whose} was trained on, so every hour would be quarantined: "
            f"{'; '.join(found.failures)}; `mlops validation suite` writes the suite that is derived from them"
        )


def _never(expectation: "Expectation", frame: "pd.DataFrame") -> str | None:
    """Return why the expectation cannot be evaluated on rows of the right types; None if it can."""
    from great_expectations import ExpectationSuite

    from mlops_dagster.monitoring.validation.messages import reason_of
    from mlops_dagster.monitoring.validation.redaction import without_values
    from mlops_dagster.monitoring.validation.validate import run

    try:
        found = run(frame, ExpectationSuite(name="once", expectations=[expectation.copy()]))
    except Exception as error:  # Great Expectations raises errors of many kinds
        return f"{type(error).__name__}: {error}"
    (result,) = found.results
    info = result.exception_info or {}
    for each in (info, *info.values()):
        if isinstance(each, Mapping) and each.get("raised_exception"):
            return f"{each.get('exception_message'):.300}"
    if expectation.expectation_type in _OF_TYPES and not result.success:
        return reason_of(without_values(found).results[0])
    return None


def _contradiction(arguments: Mapping[str, Any], schema: ModelSchema) -> str | None:
    """Return why no value can ever meet the expectation; Great Expectations would only find every batch bad."""
    ranges = [(arguments.get("min_value"), arguments.get("max_value"))]
    ranges += [tuple(each) for each in (arguments.get("quantile_ranges") or {}).get("value_ranges", [])]
    for low, high in ranges:
        if isinstance(low, int | float) and isinstance(high, int | float) and low > high:
            return f"the minimum {low:g} is over the maximum {high:g}"
    kinds = {feature.name: feature.kind for feature in schema.features} | {"label": "categorical"}
    kind, wanted = kinds.get(str(arguments.get("column"))), arguments.get("value_set") or ()
    fitting = (int, float) if kind == "numeric" else str
    if kind is not None and wanted and not any(isinstance(each, fitting) for each in wanted):
        return f"{arguments['column']} is {kind}, and no value of `value_set` is"
    return None


def made_up_rows(schema: ModelSchema) -> "pd.DataFrame":
    """Return rows of the types of the schema, with each truth of its task as label in turn."""
    import pandas as pd

    numbers, words = [float(row) for row in range(_ROWS)], ["1", "2", "3"]  # also JSON and dates
    values = {feature.name: numbers if feature.kind == "numeric" else words for feature in schema.features}
    columns = {**values, "label": list(schema.task.truths) or numbers}
    return pd.DataFrame({name: [each[row % len(each)] for row in range(_ROWS)] for name, each in columns.items()})
