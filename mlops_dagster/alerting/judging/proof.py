"""The limit of a rate, broken on proof and mended on evidence."""

import math
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from mlops_dagster.alerting.judging.criterion import Proof
from mlops_dagster.alerting.judging.observation import Counted
from mlops_dagster.alerting.judging.watch import Latch, Stretch
from mlops_dagster.statistics import fall, log_evidence, rise

HOURS_A_YEAR: Final = 8766.0
MENDED: Final = 20.0
"""The evidence that a broken limit is kept again."""

_LARGEST: Final = 700.0
"""The logarithm of about the largest float."""


def judged_by_proof(
    latch: Latch,
    new: Counted,
    way: Proof,
    *,
    limit: float,
    since: datetime,
    now: datetime,
    parts: int,
    may_change: bool,
) -> Latch:
    """Return the latch after the events of a look.

    It breaks when the e-detector proves that the rate is over the limit; it is mended when the evidence that the rate
    is under it reaches 20. Evidence adds up in any case, but the latch only changes if it `may_change`. The false
    alarms that are allowed a year are shared among the `parts` of the rule. `since` is the last look with events.
    """
    if not new.trials or limit >= 1:
        return latch
    stretch = _stretch(latch, new, limit, since)
    rows = new.rows_per_observation
    if latch.broken:
        logs = fall(latch.logs, new.bad, new.trials, limit=limit, rows_per_observation=rows)
        mended = may_change and log_evidence(logs) >= math.log(MENDED)
        return Latch() if mended else replace(latch, logs=logs, other_side=stretch)
    elapsed = now - since
    minutes = max(elapsed / timedelta(minutes=1), 1.0)
    logs = rise(
        latch.logs,
        new.bad,
        new.trials,
        limit=limit,
        elapsed=elapsed / timedelta(hours=1),
        rows_per_observation=rows,
        most=math.exp(min(minutes * math.log(way.most), _LARGEST)),
    )
    needed = needed_evidence(way, parts)
    # With a few events a year, time alone would reach what is needed: nothing opens without a stretch over the limit.
    breaks = may_change and stretch is not None and log_evidence(logs) >= needed
    return Latch(broken=True, broken_by=stretch) if breaks else replace(latch, logs=logs, other_side=stretch)


def needed_evidence(way: Proof, parts: int) -> float:
    """Return the logarithm of the evidence at which a limit of a rule with so many parts breaks."""
    return math.log(HOURS_A_YEAR / way.false_alarms_a_year * parts)


def _stretch(latch: Latch, new: Counted, limit: float, since: datetime) -> Stretch | None:
    """Return the stretch on the other side with the new events; None once its rate is not on that side any more."""
    before = latch.other_side or Stretch(since)
    bad, trials = before.bad + new.bad, before.trials + new.trials
    on_the_other_side = bad < limit * trials if latch.broken else bad > limit * trials
    return Stretch(before.since, bad, trials) if on_the_other_side else None
