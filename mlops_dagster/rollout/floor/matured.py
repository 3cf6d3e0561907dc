"""Days by which a champion may be judged: those with complete labels, however old the days are.

If labels come 45 days late, the last days have none, and the first labels may be of one kind (the loans that fail
soon). So a day counts as a whole, or not yet.
"""

from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from math import floor
from typing import Final

from mlops_dagster.predictions import Cohort
from mlops_dagster.rollout.policy import RolloutPolicy

_DAY = timedelta(days=1)
_PATIENCE = timedelta(days=3)
"""How long after the time at which labels are to be there a day without enough of them is told of."""
_DAYS_IN_A_ROW: Final = 3
_HALF: Final = 0.5
"""`min_label_share` is over it."""


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


def too_few_labels(days: Mapping[date, Cohort], policy: RolloutPolicy, until: datetime, delay: timedelta) -> str | None:
    """Say what to write where the labels of three days in a row are not complete long after they should be; or None.

    `delay` is how late labels come by the team's own estimate. Days without answers are none.
    """
    before = until - max(policy.label_delay, delay) - _PATIENCE
    due = sorted(day for day, its in days.items() if its.units and day_begins(day) + _DAY <= before)[-_DAYS_IN_A_ROW:]
    if len(due) < _DAYS_IN_A_ROW or set(matured_days(days, policy, until)) & set(due):
        return None
    share = min(days[day].labelled / days[day].units for day in due)
    lower = floor(100 * share - 1) / 100
    enough = f"`min_label_share: {lower:g}`" if lower > _HALF else "`labels: sampled` if they are drawn at random"
    return (
        f"labels of {share:.0%} of the answers of {due[0]} to {due[-1]} are known, and a day is judged once "
        f"{policy.min_label_share:.0%} are: no rollout ends, and neither macro-F1 floor nor concept drift can tell. If "
        f"no more come, write {enough} under `rollout`; if they come later, `labels: late` and `label_hours`"
    )


def day_begins(day: date) -> datetime:
    """Return the midnight, in UTC, with which a day begins."""
    return datetime.combine(day, time(), UTC)
