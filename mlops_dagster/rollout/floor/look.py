"""One look at the champion's headline measure, if need be compared with the previous champion, and the decision."""

import logging
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from mlops_dagster.errors import MlopsError, StorageError
from mlops_dagster.monitoring.policy import PerformancePolicy
from mlops_dagster.predictions import SERVED, PredictionLog, of_arm
from mlops_dagster.registry import ModelRegistry, ModelVersion
from mlops_dagster.rollout.comparison.comparison import Comparison
from mlops_dagster.rollout.comparison.same_rows import compare_on_log
from mlops_dagster.rollout.floor.floor import (
    NOBODY,
    FloorDecision,
    Headline,
    champion_since,
    decide_floor,
    headline_of,
    under_floor,
)
from mlops_dagster.rollout.floor.matured import day_begins
from mlops_dagster.rollout.policy import RolloutPolicy

_DAY = timedelta(days=1)

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class FloorLook:
    """The headline measure of a champion up to `until`, and the decision about it."""

    champion: str
    until: datetime
    days: tuple[date, ...]
    """The days by which it was judged."""
    headline: Headline
    previous: Comparison | None
    """The previous champion (as challenger) against this one; made only if this one is under the floor."""
    decision: FloorDecision


def look_at_floor(
    registry: ModelRegistry,
    log: PredictionLog,
    model: str,
    policy: PerformancePolicy,
    rollout: RolloutPolicy,
    *,
    matured: Collection[date],
    until: datetime,
) -> FloorLook | None:
    """Judge the champion by its answers on the last of the days `matured`; None without a champion.

    Answers from before its promotion are not its own. The comparison is of whole days up to the last of these and of
    labels known by `until`, a midnight, so that each day's comparison contains all rows of the day before. Raises
    ModelNotFoundError, StorageError.
    """
    deployment, since = registry.deployment(model), champion_since(registry.history(model))
    if deployment.champion is None or since is None:
        return None
    champion = registry.get(model, deployment.champion)
    days = sorted(day for day in matured if since.date() <= day)[-policy.window_days :]
    found = _headline(log, champion, since, days)
    previous, otherwise = None, NOBODY
    if under_floor(policy, found) and deployment.previous is not None:
        before = registry.get(model, deployment.previous)
        try:
            over = day_begins(days[-1]) + _DAY
            previous = compare_on_log(registry, log, champion, before, rollout, since=since, until=over, known_by=until)
        except StorageError:  # the log or the store is away: the next run looks again
            raise
        except MlopsError as error:  # such a version cannot be gone back to, and people must be told
            otherwise = f"{before.version} cannot be compared with it: {error.told}"
            logger.error("%s: %s", model, otherwise)
    decision = decide_floor(policy, found, previous, otherwise=otherwise)
    return FloorLook(deployment.champion, until, tuple(days), found, previous, decision)


def _windows(days: Sequence[date]) -> Iterator[tuple[datetime, datetime]]:
    """Return the windows that consecutive days form, in order."""
    firsts = (day for day in days if day - _DAY not in days)
    lasts = (day for day in days if day + _DAY not in days)
    return ((day_begins(first), day_begins(last) + _DAY) for first, last in zip(firsts, lasts, strict=True))


def _headline(log: PredictionLog, champion: ModelVersion, since: datetime, days: Sequence[date]) -> Headline:
    sums: Counter[tuple[str, ...]] = Counter()
    count = 0
    for first, last in _windows(days):
        its = of_arm(log.answers(champion.model, max(first, since), last, roles=SERVED).hours, champion.version)
        if its.num_rows:
            sums.update(champion.task.sums(*(its[name].to_pylist() for name in ("label", "prediction", "n"))))
            count += sum(its["n"].to_pylist())
    return headline_of(champion.task, sums, count)
