"""Validation of the rows of a day that are to be scored: they are kept for scoring, or set aside."""

from dataclasses import replace
from datetime import datetime
from typing import Final, NamedTuple

from mlops_dagster.alerting import Rule
from mlops_dagster.errors import InvalidInputError, InvalidSuiteError
from mlops_dagster.loop.spec import ModelSpec
from mlops_dagster.monitoring import ValidationResult, quarantine, validate
from mlops_dagster.monitoring.quarantine import quarantine_of
from mlops_dagster.monitoring.validation.alerts import tell, tell_errors
from mlops_dagster.monitoring.validation.expectations.document import suite_of
from mlops_dagster.reports import DAY
from mlops_dagster.retraining.batch_scores import BatchFiles
from mlops_dagster.retraining.trainer import batch_rows, load_trainer, read_batch
from mlops_dagster.stores import Stores

BATCH: Final = "batch_input"
"""The name of the rows to score: their folder in the quarantine, and their asset."""


class ValidatedBatch(NamedTuple):
    """The result of the suite on a day's rows, and the address where the rows are set aside if they are bad."""

    result: ValidationResult
    quarantine: str


def validate_batch(stores: Stores, spec: ModelSpec, day: datetime) -> ValidatedBatch:
    """Read the rows of a day and keep them for scoring if they pass their suite; else set them aside, and alert.

    `day` is the midnight with which the day begins. Rows that cannot be read fail; a suite that cannot be evaluated is
    an error of the result. Raises StorageError.
    """
    end = day + DAY
    champion = stores.champion(spec.model, end)
    schema = load_trainer(spec.trainer).SCHEMA if champion is None or champion.schema is None else champion.schema
    files = BatchFiles(stores.batch_scores, spec.model, day)
    files.forget()
    found = ValidationResult(0)
    try:
        frame = read_batch(spec.trainer, day, end)
        found = ValidationResult(len(frame))
        baseline = None if champion is None else champion.baseline
        suite = suite_of(schema, baseline, spec.validation, spec.drift.rows_per_observation)
        found = validate(frame, suite, "day", alpha=spec.validation.alpha)
        if found.passed:
            files.keep(batch_rows(frame, schema, day, end))
    except InvalidSuiteError as error:
        found = replace(found, errors=(error.message,))
    except InvalidInputError as error:
        found = replace(found, failures=(error.told,))
    if found.rows and found.failures:
        quarantine(stores.quarantine, spec.model, day, frame, found, what=BATCH)
    place = quarantine_of(stores.quarantine, spec.model, BATCH)
    version = None if champion is None else champion.version
    then = "nothing is scored"
    tell(
        stores.alerts,
        spec.model,
        Rule.BATCH_INPUT,
        {day: found},
        place=place,
        version=version,
        then=then,
        each=True,
    )
    tell_errors(stores.alerts, spec.model, Rule.BATCH_INPUT_ERROR, {day: found}, version=version)
    return ValidatedBatch(found, place)
