"""Following the events of the registry: each becomes alerts and news once, however many processes follow."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Final

from mlops_dagster.alerting import Rule, Sighting, Step
from mlops_dagster.documents.texts import counted
from mlops_dagster.loop.registry_events.settle import latest_of
from mlops_dagster.loop.registry_events.steps import steps_of
from mlops_dagster.registry import Event
from mlops_dagster.stores import Stores

SOURCE: Final = "registry"
_BATCH: Final = 500


def follow_registry(stores: Stores) -> int:
    """Turn the registry's events since the last call into alerts and news; return how many were followed.

    Cheap if there are none: call it often, from any process. Raises StorageError.
    """
    followed = 0
    while events := stores.registry.events_after(stores.alerts.followed(SOURCE), _BATCH):
        for change in _whole_changes(events):
            last = change[-1]
            steps = [_with_effect(stores, step, last) for step in steps_of(change)]
            if stores.alerts.follow(SOURCE, last.id, steps, at=last.at, actor=last.actor):
                followed += len(change)
    return followed


def _with_effect(stores: Stores, step: Step, event: Event) -> Step:
    """Return the alert of a rollback with the time until it was in force, as far as workers have said so by now."""
    if not isinstance(step, Sighting) or step.rule is not Rule.ROLLED_BACK:
        return step
    latest = latest_of(stores.registry.acknowledgements(event.model), stores.registry.workers())
    serving = [each.at for each in latest if each.epoch >= event.epoch]
    if not serving:
        return step
    seconds = max(0.0, (max(serving) - event.recorded_at).total_seconds())
    effect = f"in force after {seconds:.1f} s, {len(serving)} of {counted(len(latest), 'workers')}"
    return replace(step, done=f"{step.done}; {effect}")


def _whole_changes(events: Sequence[Event]) -> Iterator[Sequence[Event]]:
    """Yield the events of each change; the last one of a full batch may go on in the next, which reads it again."""
    changes = [list(its) for _key, its in groupby(events, key=lambda event: (event.model, event.epoch, event.at))]
    yield from changes[:-1] if len(events) == _BATCH and len(changes) > 1 else changes
