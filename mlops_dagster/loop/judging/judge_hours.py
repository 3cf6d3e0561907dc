"""The hourly judgement of a model: the suite on the rows of each hour, and drift of the window that ends with it."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby

from mlops_dagster.alerting import Rule, Severity
from mlops_dagster.documents.texts import counted
from mlops_dagster.errors import InvalidSuiteError
from mlops_dagster.loop.judging.concept import latest_concept
from mlops_dagster.loop.judging.findings import DRIFT, NO_CHAMPION, VALIDATION, HourOfDrift, ValidatedHour, outcome_of
from mlops_dagster.loop.spec import ModelSpec
from mlops_dagster.monitoring import DriftReport, ValidationResult, Verdict, enact_hold, should_hold
from mlops_dagster.monitoring.drift.trailing import trailing_drift
from mlops_dagster.monitoring.quarantine import quarantine_of
from mlops_dagster.monitoring.served_by import served_by
from mlops_dagster.monitoring.validation import hourly
from mlops_dagster.monitoring.validation.alerts import tell, tell_errors
from mlops_dagster.registry import ModelVersion
from mlops_dagster.reports import HOUR, Report
from mlops_dagster.retraining.signals import DriftSignal
from mlops_dagster.retraining.weigh import weigh
from mlops_dagster.stores import Stores

FAILED = "failed"
"""The verdict of an hour whose rows were set aside."""


@dataclass(frozen=True, slots=True)
class ValidatedHours:
    """The validation of some hours, and the actions that followed from it."""

    results: Mapping[datetime, ValidationResult]
    """The results of the hours that have rows, by the time at which each begins."""
    quarantine: str
    """The address where the rows of bad hours are set aside."""
    action: str
    """The action on online serving, as a sentence; empty if none was taken."""

    def of(self, hour: datetime) -> ValidationResult:
        """Return the result of an hour; an hour without rows neither passed nor failed."""
        return self.results.get(hour, ValidationResult(rows=0))


def validate_hours(stores: Stores, spec: ModelSpec, hours: Sequence[datetime]) -> ValidatedHours:
    """Validate the rows of each hour, set bad hours aside, hold or release the model, alert, and save the reports.

    `hours` are the times at which consecutive hours begin, in order. An hour's report is saved when all that follows
    from it is done. Raises InvalidSuiteError, StorageError.
    """
    found: dict[datetime, ValidationResult] = {}
    served: dict[datetime, str] = {}
    for champion, its in _reigns(stores, spec.model, hours):
        served |= dict.fromkeys(its, champion.version)
        with _suite_in_use(stores, spec):
            found |= hourly.validate_hours(
                stores.log,
                champion,
                stores.quarantine,
                its[0],
                its[-1] + HOUR,
                policy=spec.validation,
                rows_per_observation=spec.drift.rows_per_observation,
            )
    place = quarantine_of(stores.quarantine, spec.model)
    validated = ValidatedHours(found, place, _hold(stores, spec, found) if found else "")
    version = served[max(served)] if served else None
    tell(stores.alerts, spec.model, Rule.VALIDATION, found, place=place, version=version, then=validated.action)
    tell_errors(stores.alerts, spec.model, Rule.VALIDATION_ERROR, found, version=version)
    for hour in hours:
        result = validated.of(hour)
        stores.reports.save(
            VALIDATION,
            spec.model,
            hour,
            ValidatedHour(result.rows, result.failures, result.doubts, result.errors),
            verdict=result.verdict,
            reason=outcome_of(result),
            champion=served.get(hour),
        )
    return validated


def judge_drift(stores: Stores, spec: ModelSpec, hours: Sequence[datetime]) -> list[Report[HourOfDrift]]:
    """Test the window that ends with each hour against its champion's baseline, and save the reports.

    `hours` are the times at which the hours begin, in order. Raises StorageError.
    """
    window = timedelta(hours=spec.drift.window_hours)
    failed = failed_hours(stores, spec.model, hours[0] + HOUR - window, hours[-1] + HOUR)
    return [_drift_of(stores, spec, hour, failed) for hour in hours]


def failed_hours(stores: Stores, model: str, since: datetime, until: datetime) -> list[datetime]:
    """Return the hours in [since, until) whose rows were set aside, by their latest validation, in order."""
    begin = since.replace(minute=0, second=0, microsecond=0)
    return [each.start for each in stores.reports.latest(VALIDATION, model, begin, until) if each.verdict == FAILED]


def _drift_of(stores: Stores, spec: ModelSpec, hour: datetime, failed: Sequence[datetime]) -> Report[HourOfDrift]:
    end = hour + HOUR
    found = trailing_drift(stores.registry, stores.rollups, spec.model, end, spec.drift)
    if found is None:
        return stores.reports.save(DRIFT, spec.model, hour, HourOfDrift(), **NO_CHAMPION)
    bad = tuple(each for each in failed if end - timedelta(hours=spec.drift.window_hours) <= each < end)
    report, version = _of_sound_hours(found.drift, bad), found.champion.version
    # Only drift that asks is weighed by labels, as they were known when the hour ended.
    concept = latest_concept(stores, spec.model, version, end) if report.verdict is Verdict.RETRAIN else None
    asks = weigh(DriftSignal.of(report), None if concept is None else concept.harm)
    content = HourOfDrift(report, asks, bad)
    return stores.reports.save(
        DRIFT, spec.model, hour, content, verdict=report.verdict.value, reason=report.why, champion=version
    )


def _of_sound_hours(report: DriftReport, failed: Sequence[datetime]) -> DriftReport:
    """Withhold the verdict `retrain` if an hour of the window failed its validation: broken data prove no drift."""
    if report.verdict is not Verdict.RETRAIN or not failed:
        return report
    hours = counted(len(failed), "hours")
    return report.withheld(f"{hours} of the window failed validation, the last {failed[-1]:%Y-%m-%d %H:%M} UTC")


def _reigns(stores: Stores, model: str, hours: Sequence[datetime]) -> Iterator[tuple[ModelVersion, Sequence[datetime]]]:
    """Yield each champion and the hours it served one after the other: many hours are validated at once."""
    champions = [(served_by(stores.registry, stores.rollups, model, hour, hour + HOUR), hour) for hour in hours]
    for _version, reign in groupby(champions, key=lambda each: each[0] and each[0].version):
        its = list(reign)
        champion = its[0][0]
        if champion is not None:
            yield champion, [hour for _champion, hour in its]


def _hold(stores: Stores, spec: ModelSpec, found: Mapping[datetime, ValidationResult]) -> str:
    """Put online serving on hold, or release it, by the policy; return the action taken, for the alert."""
    decided = should_hold(spec.validation, found, stores.clock.now())
    enact_hold(stores.registry, spec.model, decided)
    if decided.action != "hold":
        return ""
    return f"online serving put on hold, until an hour passes or `mlops models release {spec.model} --reason ...`"


@contextmanager
def _suite_in_use(stores: Stores, spec: ModelSpec) -> Iterator[None]:
    """Keep the alert on an unusable suite open until the suite can be used; raises InvalidSuiteError."""
    try:
        yield
    except InvalidSuiteError as error:
        done = "nothing is validated; mend it, and materialize what failed again"
        stores.alerts.report(spec.model, Rule.SUITE, Severity.CRITICAL, error.message, done=done)
        raise
    stores.alerts.resolve(spec.model, Rule.SUITE, "the suite is in use")
