"""The watchers watched: each good look is a sign of life, and tells of the watchers that give none."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

from mlops_dagster.alerting import FLEET, Rule, Severity, send_heartbeat, tell_silent
from mlops_dagster.stores import Stores

LOOK: Final = "sensor:alerts"
"""The name of the beat of a look at all models."""

_DAGSTER: Final = "dagster:"


def watch_watchers(stores: Stores, now: datetime, every: timedelta, troubles: Mapping[str, str]) -> None:
    """Record a good look, and tell of watchers that are silent; the next look is due within `every`.

    `troubles` are those of the orchestrator's parts, as sentences by the name of the part. With MLOPS_HEARTBEAT_URL an
    outside watcher hears of the look last. Raises StorageError.
    """
    stores.beats.beat(LOOK, every)
    tell_silent(stores.alerts, stores.beats.list(), now)
    found = {f"{_DAGSTER}{part}": trouble for part, trouble in troubles.items()}
    for subject, trouble in found.items():
        stores.alerts.report(FLEET, Rule.WATCHER_SILENT, Severity.CRITICAL, trouble, subject=subject)
    for alert in stores.alerts.list(FLEET):
        if alert.rule == Rule.WATCHER_SILENT and alert.subject.startswith(_DAGSTER) and alert.subject not in found:
            stores.alerts.resolve(FLEET, Rule.WATCHER_SILENT, "it works again", subject=alert.subject)
    if stores.settings.heartbeat_url is not None:
        send_heartbeat(stores.settings.heartbeat_url)
