"""The decision which alerts are muted: by a silence, or by an open alert that explains them."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence

from mlops_dagster.alerting.alert import FLEET, Alert
from mlops_dagster.alerting.life.inhibition import inhibitor_name, inhibitors
from mlops_dagster.alerting.life.silence import Silence


def muted_by(alert: Alert, open_alerts: Collection[Alert], silences: Collection[Silence]) -> str | None:
    """Return the name of the active silence or open alert that mutes this one; None if it is to be told.

    As long as the alert is muted by the one that it names, it goes on naming that one.
    """
    names = _muting(alert, open_alerts, silences)
    return alert.muted_by if alert.muted_by in names else next(iter(names), None)


def due_mutes(open_alerts: Collection[Alert], silences: Collection[Silence]) -> Mapping[int, str | None]:
    """Return the alerts whose mute begins, changes or ends, by id, with the name of what mutes each now."""
    by_model = defaultdict[str, list[Alert]](list)
    for alert in open_alerts:
        by_model[alert.model].append(alert)
    found = {
        alert.id: muted_by(alert, [*its, *(by_model[FLEET] if model != FLEET else ())], silences)
        for model, its in list(by_model.items())
        for alert in its
    }
    return {alert.id: found[alert.id] for alert in open_alerts if found[alert.id] != alert.muted_by}


def _muting(alert: Alert, open_alerts: Collection[Alert], silences: Collection[Silence]) -> Sequence[str]:
    silent = [each.name for each in sorted(silences, key=lambda each: each.id) if each.covers(alert)]
    return [*silent, *map(inhibitor_name, inhibitors(alert, open_alerts))]
