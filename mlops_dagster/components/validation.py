"""The page of a validation among the metadata of what was validated, and the alert about a suite that is none."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime

import dagster as dg

from mlops_dagster.alerting import Severity
from mlops_dagster.components.spec import ModelSpec
from mlops_dagster.errors import InvalidSuiteError, told
from mlops_dagster.monitoring import ValidationResult
from mlops_dagster.monitoring.data_docs import publish
from mlops_dagster.wiring import House


def data_docs(
    context: dg.AssetExecutionContext, house: House, name: str, result: ValidationResult, *, replace: bool = False
) -> dict[str, dg.MetadataValue]:
    """The link to the page; it is for people to look at: whatever becomes of it, the validation counts."""
    try:
        link = publish(house.data_docs, name, result, replace=replace)
    except Exception as error:
        context.log.error(f"the validation has no page ({told(error)}); materialize it again to make up for it")
        return {"data_docs": dg.MetadataValue.text(f"not made: {told(error)}")}
    if link is None:
        return {}
    return {"data_docs": link_of(link)}


def link_of(place: str) -> dg.MetadataValue:
    """A path of this machine, or an address, as Dagster's UI shows them."""
    return dg.MetadataValue.url(place) if "://" in place else dg.MetadataValue.path(place)


def outcome_of(found: ValidationResult) -> str:
    """The verdict of a validation in a sentence."""
    wrong = [*found.failures, *found.errors]
    return "; ".join(wrong[:3]) or f"{found.rows:,} rows: {found.verdict}"


def pages_of_hours(
    context: dg.AssetExecutionContext, house: House, model: str, found: Mapping[datetime, ValidationResult]
) -> dict[datetime, dict[str, dg.MetadataValue]]:
    """The link to the page of each hour. One that failed or is in doubt has its own.

    The clean ones of a day share one, which shows the newest of them: so pages grow with what is wrong, and not by
    the hour.
    """
    pages: dict[str, dict[str, dg.MetadataValue]] = {}
    names: dict[datetime, str] = {}
    for hour, result in sorted(found.items(), reverse=True):
        clean = result.passed and not result.doubts
        names[hour] = name = f"{model}/prediction_batch/{hour:%Y-%m-%d}{'-clean' if clean else f'T{hour:%H}'}"
        if name not in pages:
            pages[name] = data_docs(context, house, name, result, replace=clean)
    return {hour: pages[name] for hour, name in names.items()}


@contextmanager
def suite_in_use(house: House, spec: ModelSpec) -> Iterator[None]:
    """Around a validation: a suite that cannot be used is an alert, until it can. Raises InvalidSuiteError."""
    rule = "suite"
    try:
        yield
    except InvalidSuiteError as error:
        done = "nothing is validated; mend it, and materialize what failed again"
        house.alerts.report(spec.model, rule, Severity.CRITICAL, error.message, done=done)
        raise
    house.alerts.resolve(spec.model, rule, "the suite is in use")
