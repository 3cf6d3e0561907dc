"""Days by which a champion may be judged: those with complete labels, however old the days are.

If labels come 45 days late, the last days have none, and the first labels may be of one kind (the loans that fail
soon). So a day counts as a whole, or not yet.
"""

from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta

from mlops_dagster.predictions import Cohort
from mlops_dagster.rollout.policy import RolloutPolicy

_DAY = timedelta(days=1)


def matured_days(days: Mapping[date, Cohort], policy: RolloutPolicy, until: datetime) -> list[date]:
    """Return the days before `until` whose answers have complete labels, by the rules of a rollout, in order.

    A day is complete if `min_label_share` of its answers have a label; if labels are sampled or complaints, once it is
    older than `label_hours`.
    """
    before = until - policy.label_delay
    some = policy.labels in ("sampled", "complaints")
    return [
        day
        for day, its in sorted(days.items())
        if day_begins(day) + _DAY <= before and (some or 0 < its.labelled >= policy.min_label_share * its.units)
    ]


def day_begins(day: date) -> datetime:
    """Return the midnight, in UTC, with which a day begins."""
    return datetime.combine(day, time(), UTC)
