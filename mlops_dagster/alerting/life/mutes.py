"""The decision which alerts are muted: by a silence, or by an open alert that explains them."""

from collections.abc import Collection, Sequence

from mlops_dagster.alerting.alert import Alert
from mlops_dagster.alerting.life.inhibition import inhibitor_name, inhibitors
from mlops_dagster.alerting.life.silence import Silence


def muted_by(alert: Alert, open_alerts: Collection[Alert], silences: Collection[Silence]) -> str | None:
    """Return the name of the active silence or open alert that mutes this one; None if it is to be told.

    As long as the alert is muted by the one that it names, it goes on naming that one.
    """
    names = _muting(alert, open_alerts, silences)
    return alert.muted_by if alert.muted_by in names else next(iter(names), None)


def _muting(alert: Alert, open_alerts: Collection[Alert], silences: Collection[Silence]) -> Sequence[str]:
    silent = [each.name for each in sorted(silences, key=lambda each: each.id) if each.covers(alert)]
    return [*silent, *map(inhibitor_name, inhibitors(alert, open_alerts))]
