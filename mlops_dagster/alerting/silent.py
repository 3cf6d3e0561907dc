"""Watching the watchers: a process that works tells people of recurring work that has stopped."""

import urllib.error
import urllib.request
from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from http.client import HTTPException
from typing import Final

from mlops_dagster.alerting.alert import FLEET, Severity
from mlops_dagster.alerting.alerts import Alerts
from mlops_dagster.alerting.beats import FORGOTTEN_AFTER, Beat
from mlops_dagster.alerting.rule import Rule
from mlops_dagster.errors import StorageError

SILENT_AFTER: Final = timedelta(minutes=4, seconds=30)
"""The shortest silence of a watcher that is told: looks and channels take the rest of five to six minutes."""

_MISSED: Final = 3
_WATCHERS: Final = ("sensor:", "schedule:", "duty:")
_HEARTBEAT_SECONDS: Final = 10.0
_HANDLERS: Final = (
    urllib.request.ProxyHandler,
    urllib.request.HTTPHandler,
    urllib.request.HTTPSHandler,
    urllib.request.HTTPDefaultErrorHandler,
    urllib.request.HTTPErrorProcessor,
    urllib.request.UnknownHandler,
)


def silent(beats: Iterable[Beat], now: datetime) -> list[Beat]:
    """Return the beats of sensors, schedules and duties that are overdue."""
    return [
        beat
        for beat in beats
        if beat.name.startswith(_WATCHERS)
        and beat.age(now) > max(SILENT_AFTER, _MISSED * beat.every)
        and not beat.is_forgotten(now)
    ]


def tell_silent(alerts: Alerts, beats: Collection[Beat], now: datetime) -> None:
    """Open an alert for each watcher that is silent, and resolve the alerts of the others."""
    found = {f"{beat.name} {beat.model}".strip(): beat for beat in silent(beats, now)}
    for subject, beat in found.items():
        alerts.report(
            FLEET,
            Rule.WATCHER_SILENT,
            Severity.CRITICAL,
            f"{subject} has given no sign of life since {beat.at:%Y-%m-%d %H:%M} UTC; it is due every "
            f"{beat.every.total_seconds():g} s",
            subject=subject,
            since=beat.at,
            evidence={"note": beat.note},
        )
    forgotten = {f"{beat.name} {beat.model}".strip() for beat in beats if beat.is_forgotten(now)}
    for alert in alerts.list(FLEET):
        if alert.rule == Rule.WATCHER_SILENT and alert.subject.startswith(_WATCHERS) and alert.subject not in found:
            over = "it gives signs of life again"
            if alert.subject in forgotten:
                over = f"silent for {FORGOTTEN_AFTER.days} days: it is taken to be removed on purpose"
            alerts.resolve(FLEET, Rule.WATCHER_SILENT, over, subject=alert.subject)


def send_heartbeat(url: str) -> None:
    """Fetch the address of an outside watcher, which tells people when these calls stop.

    Raises StorageError, without the address, which may be secret: it could not be reached or did not answer 2xx.
    """
    opener = urllib.request.OpenerDirector()  # as the usual one, but follows no redirect
    for handler in _HANDLERS:
        opener.add_handler(handler())
    try:
        with opener.open(url, timeout=_HEARTBEAT_SECONDS):
            return
    except urllib.error.HTTPError as error:
        error.close()
        reason = f"status {error.code}"
    except (OSError, HTTPException, ValueError) as error:
        reason = type(error).__name__
    raise StorageError(f"the address in MLOPS_HEARTBEAT_URL does not answer ({reason}); open it by hand")
