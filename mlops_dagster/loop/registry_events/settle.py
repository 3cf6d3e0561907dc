"""The end of alerts about a version: when it has left the traffic, or is loaded."""

from collections.abc import Collection
from datetime import timedelta
from typing import Final

from mlops_dagster.alerting import Alert, Rule
from mlops_dagster.documents.texts import counted
from mlops_dagster.registry import Acknowledgement, Deployment
from mlops_dagster.stores import Stores

TOLD_FIRST: Final = timedelta(minutes=5)
"""A rollback is over in a second; its alert stays open for so long, or no channel would have told it before its end."""

_TAKEN_OUT: Final = (Rule.ROLLED_BACK, Rule.VERSION_REFUSED)
_RULES: Final = (*_TAKEN_OUT, Rule.FUSE_UNTOLD, Rule.NOT_LOADED)


def settle_registry_alerts(stores: Stores) -> None:
    """Resolve the alerts about versions that are out of traffic, or loaded after all. Raises StorageError."""
    found = [alert for alert in stores.alerts.list() if alert.rule in _RULES]
    if not found:
        return
    now, there = stores.clock.now(), stores.registry.workers()
    lasting: set[tuple[str, str]] = set()
    for alert in reversed(found):  # the latest first: an alert that explains others ends after them
        deployment = stores.registry.deployment(alert.model)
        latest = latest_of(stores.registry.acknowledgements(alert.model), there)
        about, over = (alert.model, alert.subject), _why_over(alert, deployment, latest)
        untold = alert.rule in _TAKEN_OUT and now < alert.opened_at + TOLD_FIRST
        if over is None or untold or (alert.rule == Rule.VERSION_REFUSED and about in lasting):
            lasting.add(about)
        else:
            stores.alerts.resolve(alert.model, Rule(alert.rule), over, subject=alert.subject)


def latest_of(acknowledged: Collection[Acknowledgement], there: Collection[str]) -> list[Acknowledgement]:
    """Return the last acknowledgement of each worker that is there."""
    last = {each.process: each for each in acknowledged if each.process in there}
    return list(last.values())


def _why_over(alert: Alert, deployment: Deployment, latest: Collection[Acknowledgement]) -> str | None:
    """Return why the alert about a version is over; None if it is not."""
    version, epoch = alert.subject, deployment.epoch
    serving = [each for each in latest if each.epoch == epoch]
    if version in (deployment.champion, deployment.canary, *deployment.shadows):
        is_loaded = alert.rule == Rule.NOT_LOADED and bool(serving)
        return f"{version} is loaded by {counted(len(serving), 'workers')} at epoch {epoch}" if is_loaded else None
    if alert.rule in _TAKEN_OUT and len(serving) < len(latest):
        return None
    return f"{version} has no traffic: {len(serving)} of {counted(len(latest), 'workers')} at epoch {epoch}"
