"""The two times of a rollback: until the proof, and from there until no request reaches the version."""

from collections.abc import Collection
from datetime import datetime
from typing import NamedTuple

from mlops_dagster.alerting import AlertEvent
from mlops_dagster.board.snapshot.view import View
from mlops_dagster.clock import parse_time
from mlops_dagster.errors import NotFoundError, UnreadableError
from mlops_dagster.registry import Acknowledgement
from mlops_dagster.retention import Kind
from mlops_dagster.rollout import Decision


class RollbackTimes(NamedTuple):
    """Seconds; None where the time is not known."""

    to_proof: float | None
    """From the first bad evidence to the proof, by the clock of the events."""
    to_zero_traffic: float | None
    """From the proof until every worker that had the version served a deployment without it, by the machine's."""


def rollback_times(view: View, event: AlertEvent) -> RollbackTimes:
    """Return the times of the rollback that an event is about. Raises StorageError."""
    decision = _decision(view, event.evidence.get("decision"))
    epoch, recorded = event.evidence.get("epoch"), event.evidence.get("recorded_at")
    acted_at = parse_time(recorded) if isinstance(recorded, str) else None
    # The fuse proves and acts in one step; a decision of a sensor is recorded before the sensor acts on it.
    by_sensor = decision is not None and decision.origin != "deployment"
    proven_at = decision.recorded_at if by_sensor and decision is not None else acted_at
    zero_at = None
    if isinstance(epoch, int):
        registry = view.stores.registry
        zero_at = zero_traffic_at(epoch, registry.acknowledgements(event.model), registry.workers())
    return RollbackTimes(
        to_proof=_seconds(_first_bad_at(view, event, decision), event.at if decision is None else decision.at),
        to_zero_traffic=_seconds(proven_at, zero_at),
    )


def _first_bad_at(view: View, event: AlertEvent, decision: Decision | None) -> datetime | None:
    """Return the time of the version's first bad evidence in its rollout; of a fuse's act, in its last one."""
    if event.version is None:
        return None
    if decision is not None:
        began = decision.rollout.started_at
    else:
        its = [each.started_at for each in view.stores.rollouts.list(event.model) if each.challenger == event.version]
        if not its:
            return None
        began = max(its)
    if not _counted(view, event.model, began):
        return None
    return view.stores.rollups.first_bad_at(event.model, event.version, began)


def zero_traffic_at(epoch: int, acknowledged: Collection[Acknowledgement], there: Collection[str]) -> datetime | None:
    """Return the time from which every worker that served an earlier epoch serves `epoch` or a later one.

    None if no worker did before, or one that is there does not yet. Workers that have ended meanwhile do not count.
    """
    before = {each.process for each in acknowledged if each.epoch < epoch}
    since: dict[str, datetime] = {}
    for each in acknowledged:
        if each.epoch >= epoch and each.process in before:
            since[each.process] = min(since.get(each.process, each.at), each.at)
    behind = (before & set(there)) - since.keys()
    return None if behind else max(since.values(), default=None)


def _decision(view: View, decision: object) -> Decision | None:
    if not isinstance(decision, int):
        return None
    try:
        return view.stores.rollouts.decision(decision)
    except (NotFoundError, UnreadableError):
        return None


def _counted(view: View, model: str, since: datetime) -> bool:
    """Return whether the counts by the minute of a model are whole from a time on."""
    whole = view.stores.retention.since().get(model, {}).get(Kind.MINUTE_COUNTS)
    return whole is None or whole <= since


def _seconds(begin: datetime | None, end: datetime | None) -> float | None:
    """Return the seconds from `begin` to `end`, and 0 if the end came first: a fuse acts before its act is recorded."""
    return None if begin is None or end is None else max(round((end - begin).total_seconds(), 3), 0.0)
