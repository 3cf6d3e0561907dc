"""The subject of a look: one model, with all that its rules are observed from."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from functools import cached_property
from typing import Final

from mlops_dagster.alerting import AlertPolicy
from mlops_dagster.alerting.judging import Missing
from mlops_dagster.loop.judging.findings import DRIFT, HourOfDrift
from mlops_dagster.loop.watching.fleet import HOUR, Fleet
from mlops_dagster.registry import ModelPolicies
from mlops_dagster.reports import Report
from mlops_dagster.stores import Stores

VALID: Final = timedelta(hours=6)
"""The age over which an hourly report says nothing about now."""


@dataclass(frozen=True)
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
    reports_within: timedelta = VALID
    """The age over which an hourly report says nothing about `now`."""

    @property
    def reports_ended(self) -> bool:
        """True after the end of the partitions, if they end: no further report can be made."""
        last_day = self.stores.settings.partitions_end
        return last_day is not None and self.now >= datetime.combine(last_day, time(), tzinfo=UTC)

    @cached_property
    def drift(self) -> Report[HourOfDrift] | Missing | None:
        """The newest report on drift; None if no report of any hour was ever made."""
        found = self.stores.reports.recent(DRIFT, self.model, self.now, within=self.reports_within)
        if found is None and DRIFT.name in self.report_starts:
            return Missing(f"no drift report of the last {self.reports_within / HOUR:g} hours")
        return found

    @cached_property
    def report_starts(self) -> Mapping[str, datetime]:
        """The start of the newest period that has a report, by the name of the kind."""
        return self.stores.reports.last_starts(self.model)
