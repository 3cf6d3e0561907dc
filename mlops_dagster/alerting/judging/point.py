"""The limit of a number, broken when the number has been over it for a time."""

from dataclasses import replace
from datetime import datetime

from mlops_dagster.alerting.judging.criterion import Duration
from mlops_dagster.alerting.judging.watch import Latch, Stretch


def judged_by_duration(latch: Latch, value: float, way: Duration, *, limit: float, now: datetime) -> Latch:
    """Return the latch after a look at the number: broken after the time over the limit, mended after that within.

    Between the limit and `clear_at` of it the latch stays, and a time that has begun starts anew.
    """
    on_the_other_side = value <= limit * way.clear_at if latch.broken else value > limit
    if not on_the_other_side:
        return replace(latch, other_side=None)
    stretch = latch.other_side or Stretch(now)
    if now - stretch.since >= (way.clears if latch.broken else way.opens):
        return Latch() if latch.broken else Latch(broken=True, broken_by=stretch)
    return replace(latch, other_side=stretch)
