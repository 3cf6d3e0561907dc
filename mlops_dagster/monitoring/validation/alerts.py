"""The alert on batches that failed their validation: one alert for all of them, until a later batch resolves it."""

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple, TypedDict, cast

from mlops_dagster.alerting import Alert, Alerts, Reading, Rule, Severity
from mlops_dagster.clock import parse_time
from mlops_dagster.documents.texts import counted
from mlops_dagster.monitoring.validation.validate import ValidationResult

_NAMED = 3
"""The summary names at most this many batches, each with its first reason; the evidence has all."""
_KEPT = 500
"""The evidence of one alert has at most this many batches, the newest."""


class _Bad(NamedTuple):
    """A batch that failed its validation."""

    rows: int
    failures: tuple[str, ...]


class _Told(TypedDict):
    """A failed batch as it stands in the alert's evidence."""

    rows: int
    failures: list[str]


def tell(
    alerts: Alerts,
    model: str,
    rule: Rule,
    found: Mapping[datetime, ValidationResult],
    *,
    place: str,
    version: str | None = None,
    then: str = "",
    each: bool = False,
) -> None:
    """Report the failed batches, by the time each begins, together with those already in the open alert.

    `place` is the address of their rows, `version` the champion that they were for, `then` any other action taken.
    Answers served in a bad hour cannot be mended: the newest hour with rows resolves the alert if it passed without
    doubts, and is not older than the newest known bad hour. With `each`, a batch can be mended, like the rows of a day
    to score: each bad batch has to pass.
    """
    told = {time: result for time, result in sorted(found.items()) if result.passed or result.failures}
    if not told:
        return
    bad = {time: _Bad(result.rows, result.failures) for time, result in told.items() if not result.passed}
    before = _known(next((alert for alert in alerts.list(model) if alert.rule == rule), None))
    mended = {time for time, result in told.items() if result.passed} & before.keys()
    known = {time: its for time, its in before.items() if time not in mended}
    newest = max(told)
    if bad or (each and mended and known):
        everything = dict(sorted({**known, **bad}.items())[-_KEPT:])
        rows = sum(its.rows for its in everything.values())
        earlier = {time: its for time, its in everything.items() if time not in bad}
        alerts.report(
            model,
            rule,
            Severity.CRITICAL,
            _summary(bad, len(told), earlier),
            version=version,
            reading=Reading(len(everything), samples=rows, limit=0, unit="batches", counted="rows"),
            since=min(everything),
            done="; ".join(filter(None, [f"{counted(rows, 'rows')} quarantined at {place}" if rows else "", then])),
            evidence={
                "batches": {
                    time.isoformat(): {"rows": its.rows, "failures": list(its.failures)}
                    for time, its in everything.items()
                },
            },
        )
    recovered = told[newest].passed and not told[newest].doubts and newest >= max(known, default=newest)
    if (not bad and not known) if each else recovered:
        alerts.resolve(model, rule, f"{_at(newest)} passed, with {counted(told[newest].rows, 'rows')}")


def tell_errors(
    alerts: Alerts, model: str, rule: Rule, found: Mapping[datetime, ValidationResult], *, version: str | None = None
) -> None:
    """Report the batches that could not be validated, in an alert of a separate `rule`; no action was taken.

    The next batch that can be validated resolves the alert. A failed expectation proves rows bad even if others raised.
    """
    blind = {time: its for time, its in sorted(found.items()) if its.verdict == "error"}
    if blind:
        first = next(iter(blind.values())).errors[0]
        alerts.report(
            model,
            rule,
            Severity.WARNING,
            f"{len(blind)} of {counted(len(found), 'batches')} could not be validated, "
            f"nothing is known of them: {first}",
            version=version,
            reading=Reading(len(blind), samples=len(found), limit=0, unit="batches", counted="batches"),
            since=min(blind),
            done="nothing: no rows are set aside, no hold; mend the suite and materialize them again",
            evidence={"batches": {time.isoformat(): list(its.errors) for time, its in blind.items()}},
        )
    elif any(its.passed or its.failures for its in found.values()):
        alerts.resolve(model, rule, "a batch was validated")


def _known(alert: Alert | None) -> dict[datetime, _Bad]:
    """Return the failed batches in the evidence of the open alert."""
    if alert is None:
        return {}
    batches = cast("Mapping[str, _Told]", alert.evidence["batches"])  # as `tell` writes it
    return {parse_time(time): _Bad(its["rows"], tuple(its["failures"])) for time, its in batches.items()}


def _summary(bad: Mapping[datetime, _Bad], of: int, earlier: Mapping[datetime, _Bad]) -> str:
    if not bad:
        return f"{counted(len(earlier), 'batches')} failed validation, not mended: {_list(earlier)}"
    more = f"; so did {len(earlier)} before" if earlier else ""
    return f"{len(bad)} of {counted(of, 'batches')} failed validation: {_list(bad)}{more}"


def _list(bad: Mapping[datetime, _Bad]) -> str:
    named = [f"{_at(time)} ({its.failures[0]})" for time, its in list(bad.items())[:_NAMED]]
    more = len(bad) - len(named)
    return ", ".join(named) + (f" and {more} more" * (more > 0))


def _at(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M} UTC"
