"""The fixed table of the platform's reactions: things that happen to a model answer its open alerts. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from mlops_dagster.alerting.alert import AlertEvent, EventKind, Severity
from mlops_dagster.alerting.rule import Notice, Rule

LASTS: Final = timedelta(days=7)
"""A reaction that goes on answers alerts that open within this time after it began."""

OF_QUALITY: Final = frozenset(
    {
        Rule.ACCURACY,
        Rule.ACCURACY_COLLAPSE,
        Rule.CONCEPT_DRIFT,
        Rule.HEADLINE,
        Rule.KS,
        Rule.LABEL_DRIFT,
        Rule.PSI,
    }
)
"""The rules that a new version answers."""

_OF_A_VERSION: Final = frozenset({Rule.ERROR_RATE, Rule.NULL_RATE, Rule.P99_MS})
"""The rules that the rollback of the version that they are about answers."""


@dataclass(frozen=True, slots=True)
class Reaction:
    """Something that the platform has done, and the alerts that it answers."""

    done: str
    rules: frozenset[Rule]
    goes_on: bool = False
    """Whether it answers alerts that open later too, until something else happens."""
    of_version: str | None = None
    """The version whose alerts of `_OF_A_VERSION` it answers as well."""

    def answers(self, rule: str, version: str | None) -> bool:
        """Return whether this is a reaction to a rule that this version breaks."""
        of_version = self.of_version is not None and version == self.of_version
        return rule in self.rules or (of_version and rule in _OF_A_VERSION)


SOURCES: Final = (
    Notice.RETRAINING_STARTED,
    Notice.WAITS_FOR_APPROVAL,
    Notice.GIVEN_UP,
    Notice.PROMOTED,
    Rule.RETRAINING_FAILED,
    Rule.KNOWN_BAD,
    Rule.ROLLED_BACK,
    Rule.HELD,
)
"""The rules and notices whose events are reactions."""


def reaction_of(event: AlertEvent) -> Reaction | None:
    """Return the reaction to other alerts of the model that an event is; None if it is none."""
    began = event.kind is EventKind.OPENED
    failed = event.kind in (EventKind.OPENED, EventKind.ESCALATED) and event.severity is Severity.CRITICAL
    match event.rule:
        case Notice.RETRAINING_STARTED | Notice.WAITS_FOR_APPROVAL:
            return Reaction(event.summary, OF_QUALITY, goes_on=True)
        case Notice.GIVEN_UP | Notice.PROMOTED:
            return Reaction(event.summary, OF_QUALITY)
        case Rule.RETRAINING_FAILED if failed:
            return Reaction(f"the retraining has failed: {event.summary}", OF_QUALITY)
        case Rule.KNOWN_BAD if began:
            return Reaction(f"{event.version} gets no rollout: {event.summary}", OF_QUALITY)
        case Rule.ROLLED_BACK if began:
            return Reaction(f"{event.summary}; {event.done}", OF_QUALITY, of_version=event.version)
        case Rule.HELD if began:
            return Reaction(f"{event.done}: {event.summary}", frozenset({Rule.NULL_RATE}), goes_on=True)
        case Rule.HELD if event.kind is EventKind.RESOLVED:
            return Reaction(event.summary, frozenset({Rule.NULL_RATE}))
    return None


def standing(events: Sequence[AlertEvent], rule: Rule, version: str | None) -> AlertEvent | None:
    """Return the event that answers an alert that opens now; None if nothing goes on.

    `events` are the model's latest ones of `SOURCES`, the newest first.
    """
    for event in events:
        reaction = reaction_of(event)
        if reaction is not None and reaction.answers(rule, version):
            return event if reaction.goes_on else None
    return None
