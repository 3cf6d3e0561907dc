"""What checked the training data, as a model card keeps it."""

from typing import TYPE_CHECKING

from mlops_dagster.monitoring.validation import ValidationResult, validate
from mlops_dagster.registry import Validation

if TYPE_CHECKING:
    import pandas as pd
    from great_expectations import ExpectationSuite


def validate_training_set(frame: "pd.DataFrame", suite: "ExpectationSuite") -> tuple[Validation, ValidationResult]:
    """Hold labelled rows against what the suite asks of them. No rows have not passed."""
    found = validate(frame, suite, "training_set")
    told = Validation(
        suite=suite.name,
        expectations=found.expectations,
        rows=found.rows,
        passed=found.passed,
        failures=found.failures,
    )
    return told, found
