"""The plan of retention for one model: from when on each kind is whole, and before when it goes."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from mlops_dagster.alerting import FLEET
from mlops_dagster.errors import ModelNotFoundError
from mlops_dagster.monitoring import PerformancePolicy
from mlops_dagster.retention import Evidence, Kind, RetentionPolicy, goes_before, kept_since
from mlops_dagster.stores import Stores

_CITED: Final = timedelta(days=2)
"""The reports from so long before an alert opened are those that it was opened by."""


@dataclass(frozen=True, slots=True)
class RetentionPlan:
    """The records of one model that may go."""

    model: str
    policy: RetentionPolicy
    since: Mapping[Kind, datetime]
    """From when on each kind is whole afterwards."""
    before: Mapping[Kind, datetime]
    """The time before which each kind goes; not after `since`, earlier where evidence is in use."""
    cited: Sequence[tuple[datetime, datetime]] = ()
    """The stretches of time in which reports were made that an open alert rests on."""
    salts: Collection[str] = ()
    """The salts of the deployments since the counts by the minute are whole."""


def plan_of(stores: Stores, model: str, now: datetime) -> RetentionPlan:
    """Return the plan for a model, or for the alerts of the fleet. Raises UnreadableError, StorageError."""
    cited = [
        (alert.opened_at - _CITED, alert.opened_at + timedelta(hours=1))
        for alert in stores.alerts.list(model)
        if alert.open
    ]
    if model == FLEET:
        since = kept_since(RetentionPolicy(), now, Evidence(timedelta(), timedelta()))
        of_alerts = {kind: since[kind] for kind in (Kind.ALERTS, Kind.MINUTE_COUNTS)}
        return RetentionPlan(model, RetentionPolicy(), of_alerts, of_alerts)
    published = stores.registry.policies(model)
    policy = published.section("retention", RetentionPolicy)
    stores.rollouts.active(model)  # a running rollout that cannot be read is not left out: what it needs is unknown
    evidence = Evidence(
        awaited=timedelta(days=stores.settings.label_days),
        window=timedelta(days=published.section("performance", PerformancePolicy).window_days),
        rollouts=[(each.started_at, each.ended_at) for each in stores.rollouts.list(model)],
    )
    since = kept_since(policy, now, evidence)
    before = goes_before(since, evidence)
    return RetentionPlan(model, policy, since, before, cited, _salts(stores, model, before[Kind.MINUTE_COUNTS]))


def _salts(stores: Stores, model: str, since: datetime) -> set[str]:
    try:
        events = stores.registry.history(model)
    except ModelNotFoundError:  # it has policies and no version yet
        return set()
    earlier = [event for event in events if event.at < since]
    return {event.deployment.salt for event in [*earlier[-1:], *events[len(earlier) :]]}
