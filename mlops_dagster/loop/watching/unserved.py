"""The end of the alerts about a champion that has left without another in its place."""

from collections.abc import Collection
from typing import Final

from mlops_dagster.alerting import Rule
from mlops_dagster.stores import Stores

OF_CHAMPION: Final = frozenset(
    {
        Rule.ACCURACY,
        Rule.ACCURACY_COLLAPSE,
        Rule.CHAMPION_ERROR_LIMIT,
        Rule.CONCEPT_DRIFT,
        Rule.ERROR_RATE,
        Rule.KS,
        Rule.LABEL_DEBT,
        Rule.LABEL_DRIFT,
        Rule.HEADLINE,
        Rule.NO_DATA,
        Rule.NO_TRAFFIC,
        Rule.NULL_RATE,
        Rule.P99_MS,
        Rule.PSI,
        Rule.REPORT_LATE,
        Rule.TOO_FEW_LABELS,
        Rule.VALIDATION,
    }
)
"""The rules about the version that answers and its traffic, of which nothing is heard any more without one."""


def end_unserved(stores: Stores, models: Collection[str]) -> None:
    """Resolve the alerts about the champions of these models, which have none. Raises StorageError."""
    if not models:
        return
    for alert in stores.alerts.list():
        if alert.model in models and alert.rule in OF_CHAMPION:
            stores.alerts.resolve(alert.model, Rule(alert.rule), "no version serves any more", subject=alert.subject)
