"""What checked the training data, as a model card keeps it."""

from typing import TYPE_CHECKING

from mlops_dagster.monitoring.expectations import suite_for
from mlops_dagster.monitoring.validation import validate
from mlops_dagster.registry import Validation
from mlops_dagster.schema import ModelSchema

if TYPE_CHECKING:
    import pandas as pd


def validate_training_set(frame: "pd.DataFrame", schema: ModelSchema) -> Validation:
    """Hold labelled rows against the suite of their schema. No rows have not passed."""
    suite = suite_for(schema, labelled=True)
    found = validate(frame, suite)
    return Validation(
        suite=suite.name,
        expectations=len(suite.expectations),
        rows=found.rows,
        passed=found.passed,
        failures=found.failures,
    )
