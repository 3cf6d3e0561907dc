"""The alert about batches that failed their validation: one for all of them, until a later one passes."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from mlops_dagster.alerting import Alerts, Severity
from mlops_dagster.clock import parse_time
from mlops_dagster.monitoring.validation import ValidationResult

_NAMED = 3
"""So many are named in the summary, each with its first reason; the evidence has all."""


def tell(
    alerts: Alerts, model: str, rule: str, found: Mapping[datetime, ValidationResult], *, place: Path, then: str = ""
) -> None:
    """Report the batches that failed, by the time each begins; resolve it if the newest with rows passed, no doubts.

    `place` is where their rows are, `then` what else was done about it. Batches that are older than the newest bad
    one that is known resolve nothing: they are caught up on, or looked at again.
    """
    with_rows = {time: result for time, result in sorted(found.items()) if result.rows}
    bad = {time: result for time, result in with_rows.items() if not result.passed}
    open_alert = next((alert for alert in alerts.list(model) if alert.rule == rule), None)
    known = None if open_alert is None else parse_time(str(open_alert.evidence["newest"]))
    if bad:
        rows = sum(result.rows for result in bad.values())
        alerts.report(
            model,
            rule,
            Severity.CRITICAL,
            _summary(bad, len(with_rows)),
            done="; ".join(filter(None, [f"{rows} rows quarantined at {place}", then])),
            evidence={
                "newest": max(filter(None, [known, *bad])).isoformat(),
                "batches": {
                    time.isoformat(): {"rows": result.rows, "failures": list(result.failures)}
                    for time, result in bad.items()
                },
            },
        )
    newest = max(with_rows, default=None)
    if (
        newest is not None
        and with_rows[newest].passed
        and not with_rows[newest].doubts
        and (known is None or newest > known)
    ):
        alerts.resolve(model, rule, f"{_at(newest)} passed, with {with_rows[newest].rows} rows")


def _summary(bad: Mapping[datetime, ValidationResult], of: int) -> str:
    named = [f"{_at(time)} ({result.failures[0]})" for time, result in list(bad.items())[:_NAMED]]
    more = len(bad) - len(named)
    return f"{len(bad)} of {of} batches failed their validation: {', '.join(named)}" + (
        f" and {more} more" * (more > 0)
    )


def _at(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M} UTC"
