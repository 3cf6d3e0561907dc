"""The subject of a look: one model, with all that its rules are observed from."""

from dataclasses import dataclass
from datetime import datetime

from mlops_dagster.alerting import AlertPolicy
from mlops_dagster.loop.watching.fleet import Fleet
from mlops_dagster.registry import ModelPolicies
from mlops_dagster.stores import Stores


@dataclass(frozen=True, slots=True)
class Subject:
    """One model with a champion at one look."""

    stores: Stores
    fleet: Fleet
    model: str
    champion: str
    """The version that answers all requests, or all but the canary's share."""
    policies: ModelPolicies
    alerts: AlertPolicy
    """The section `alerts` of the policies."""
    now: datetime
