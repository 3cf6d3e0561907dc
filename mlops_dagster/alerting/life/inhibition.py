"""The fixed table of inhibitions: alerts that are not told while another open alert explains them."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from mlops_dagster.alerting.alert import FLEET, Alert, Severity
from mlops_dagster.alerting.rule import Rule


@dataclass(frozen=True, slots=True)
class Inhibition:
    """An open alert of `by` mutes the alerts of `targets` about the same model."""

    by: Rule
    targets: frozenset[Rule]
    at_least: Severity = Severity.INFO
    """The least severity of the inhibiting alert."""
    at_most: Severity = Severity.CRITICAL
    """The greatest severity of the muted alert."""
    of_version: bool = False
    """Only alerts about the version that is the subject of the inhibiting alert."""
    of_fleet: bool = False
    """The inhibiting alert is about the platform, and mutes alerts about any model."""


INHIBITIONS: Final = (
    Inhibition(Rule.HELD, frozenset({Rule.NO_TRAFFIC, Rule.ERROR_RATE, Rule.P99_MS, Rule.ACCURACY})),
    Inhibition(Rule.VALIDATION, frozenset({Rule.PSI, Rule.KS, Rule.NULL_RATE, Rule.LABEL_DRIFT})),
    Inhibition(
        Rule.ROLLED_BACK,
        frozenset({Rule.ACCURACY, Rule.ERROR_RATE, Rule.P99_MS, Rule.HEADLINE}),
        of_version=True,
    ),
    Inhibition(Rule.NOT_LOADED, frozenset({Rule.NO_TRAFFIC})),
    Inhibition(Rule.VERSION_REFUSED, frozenset({Rule.NOT_LOADED, Rule.ROLLED_BACK}), of_version=True),
    Inhibition(Rule.HEADLINE, frozenset({Rule.ACCURACY}), at_least=Severity.CRITICAL),
    Inhibition(Rule.HEADLINE, frozenset({Rule.CONCEPT_DRIFT}), at_least=Severity.CRITICAL, at_most=Severity.WARNING),
    Inhibition(Rule.WATCHER_SILENT, frozenset({Rule.NO_DATA, Rule.REPORT_LATE}), of_fleet=True),
)
"""Besides these, an alert about the fleet mutes the alerts of the same rule about single models."""


def inhibitors(alert: Alert, open_alerts: Collection[Alert]) -> Sequence[Alert]:
    """Return the open alerts that mute this one, in the order in which they opened."""
    found = [each for each in open_alerts if _inhibits(each, alert)]
    return sorted(found, key=lambda each: each.id)


def inhibitor_name(alert: Alert) -> str:
    """Return the name of an inhibiting alert, as the muted alert states it.

    An alert about the fleet is "fleet psi", one about a version "rolled_back 2.4.1".
    """
    return " ".join(filter(None, ("fleet" if alert.model == FLEET else "", alert.rule, alert.subject)))


def ended_by(rollback: Alert, open_alerts: Collection[Alert]) -> Sequence[Alert]:
    """Return the open alerts that a rollback ends, as the version that they are about is out of traffic."""
    if rollback.rule != Rule.ROLLED_BACK:
        return []
    return [each for each in open_alerts if _inhibits(rollback, each)]


def _inhibits(other: Alert, alert: Alert) -> bool:
    if other.model == FLEET and alert.model != FLEET and other.rule == alert.rule:
        return True
    return other.id != alert.id and any(_applies(each, other, alert) for each in INHIBITIONS)


def _applies(inhibition: Inhibition, other: Alert, alert: Alert) -> bool:
    return (
        inhibition.by == other.rule
        and other.model == (FLEET if inhibition.of_fleet else alert.model)
        and alert.rule in inhibition.targets
        and other.severity.rank >= inhibition.at_least.rank
        and alert.severity.rank <= inhibition.at_most.rank
        and (not inhibition.of_version or (alert.version is not None and alert.version == other.subject))
    )
