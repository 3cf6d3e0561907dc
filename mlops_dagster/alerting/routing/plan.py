"""The decision which channels are told of an event, and what each is asked to do."""

from collections.abc import Collection, Sequence
from typing import Final, TypeAlias

from mlops_dagster.alerting.alert import Alert, AlertEvent, EventKind
from mlops_dagster.alerting.channels.message import Action
from mlops_dagster.alerting.routing.channel_specs import PagerDutySpec
from mlops_dagster.alerting.routing.routing import Routing
from mlops_dagster.alerting.rule import Notice, Rule

Plan: TypeAlias = Sequence[tuple[str, Action]]
"""Channels by name, each with what it is asked to do."""

CHANGES: Final = frozenset({Notice.PROMOTED, Notice.ROLLBACK, Notice.RETRAINING_STARTED})
"""The notices that a pager shows beside later incidents, as changes that may have caused them."""

_TOLD_ANEW = frozenset({EventKind.ESCALATED, EventKind.EASED, EventKind.UNMUTED})


def plan(
    event: AlertEvent, alert: Alert | None, routing: Routing, owners: Collection[str], holding: Collection[str]
) -> Plan:
    """Return what follows from an event of an alert, or of none; `holding` are the channels in which it is open."""
    if alert is None:
        return [(name, Action.CHANGE) for name in _of_change(event, routing, owners)]
    if event.kind is EventKind.RESOLVED:
        return [(name, Action.RESOLVE) for name in holding]
    if event.kind is EventKind.ACKNOWLEDGED:
        return [(name, Action.ACKNOWLEDGE) for name in holding]
    if event.kind is EventKind.MUTED:
        return [(name, Action.MUTE) for name in holding if alert.muted_by is not None]
    if event.kind is EventKind.ACTED and alert.muted_by is None:
        return [(name, Action.UPDATE) for name in holding]
    if alert.muted_by is not None or event.kind not in {EventKind.OPENED, *_TOLD_ANEW}:
        return []
    new = [(name, Action.OPEN) for name in told_of(alert, routing, owners) if name not in holding]
    again = holding if event.kind in _TOLD_ANEW else ()
    found = [*((name, Action.UPDATE) for name in again), *new]
    if event.kind is EventKind.UNMUTED and alert.acknowledged is not None:
        found += [(name, Action.ACKNOWLEDGE) for name, action in new if action is Action.OPEN]
    return found


def told_of(alert: Alert, routing: Routing, owners: Collection[str]) -> Sequence[str]:
    """Return the channels that are to know of an alert; of a broken channel, the others."""
    found = routing.channels_for(owners, alert.severity)
    if alert.rule != Rule.CHANNEL_BROKEN:
        return list(dict.fromkeys(found))
    others = [name for name in found if name != alert.subject]
    return list(dict.fromkeys(others)) or [name for name in routing.channels if name != alert.subject]


def _of_change(event: AlertEvent, routing: Routing, owners: Collection[str]) -> Sequence[str]:
    """Return the channels that are told of an event without an alert: those of info, and pagers of the same owner."""
    found = list(routing.channels_for(owners, event.severity))
    if event.rule in CHANGES:
        for name in routing.all_channels_for(owners):
            spec = routing.channels[name]
            if isinstance(spec, PagerDutySpec) and spec.changes:
                found.append(name)
    return list(dict.fromkeys(found))
