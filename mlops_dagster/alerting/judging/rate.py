"""The rate of a gauge: its events are added to the shown window."""

from dataclasses import replace
from datetime import datetime

from mlops_dagster.alerting.judging.criterion import Shown
from mlops_dagster.alerting.judging.observation import Counted
from mlops_dagster.alerting.judging.watch import Gauge
from mlops_dagster.statistics import wilson_interval

_SLOTS = 10


def counted(gauge: Gauge, new: Counted, shown: Shown, now: datetime) -> Gauge:
    """Return the gauge with the new events, and the rate of the window with its interval; no rate without events."""
    slot = int(now.timestamp() // (shown.length.total_seconds() / _SLOTS))
    added = [(slot, new.bad, new.trials)] if new.trials else []
    kept = [each for each in (*gauge.recent, *added) if each[0] > slot - _SLOTS]
    recent = tuple((at, *_sums(kept, at)) for at in sorted({each[0] for each in kept}))
    bad, trials = sum(each[1] for each in recent), sum(each[2] for each in recent)
    low = high = None
    if trials:
        low, high = wilson_interval(bad / new.rows_per_observation, trials / new.rows_per_observation)
    return replace(
        gauge,
        recent=recent,
        trials=gauge.trials + new.trials,
        value=bad / trials if trials else None,
        low=low,
        high=high,
        samples=trials,
        tolerated=new.tolerated,
        rows_per_observation=new.rows_per_observation,
    )


def _sums(events: list[tuple[int, int, int]], slot: int) -> tuple[int, int]:
    its = [each for each in events if each[0] == slot]
    return sum(bad for _, bad, _ in its), sum(trials for *_, trials in its)
