"""The validation of training data, as a model card keeps it."""

from typing import TYPE_CHECKING

from mlops_dagster.frames.conform import LABEL, as_far_as_possible
from mlops_dagster.monitoring.validation.expectations.suite import suite_for
from mlops_dagster.monitoring.validation.validate import ValidationResult, validate
from mlops_dagster.registry import Validation
from mlops_dagster.schema import ModelSchema

if TYPE_CHECKING:
    import pandas as pd
    from great_expectations import ExpectationSuite


def validate_training_set(frame: "pd.DataFrame", schema: ModelSchema) -> Validation:
    """Validate labelled rows against the suite of their schema; a set without rows does not pass."""
    suite = suite_for(schema)
    frame = as_far_as_possible(frame, (), [LABEL])
    return on_card(suite, validate(frame, suite, "training_set"))


def on_card(suite: "ExpectationSuite", found: ValidationResult) -> Validation:
    """Return the validation result `found` as a model card keeps it."""
    return Validation(
        suite=suite.name,
        expectations=found.expectations,
        rows=found.rows,
        passed=found.passed,
        failures=found.failures,
        doubts=found.doubts,
        errors=found.errors,
    )
