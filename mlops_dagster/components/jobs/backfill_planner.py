"""The run requests of a schedule that catches up: partitions without a report, or with one that is made again."""

from bisect import bisect_right
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Set
from datetime import datetime
from typing import Any, NamedTuple

import dagster as dg

from mlops_dagster.components.compat import NOT_FINISHED_STATUSES, PARTITION_NAME_TAG, PRIORITY_TAG
from mlops_dagster.components.partitions import RANGE_END, RANGE_START, Cadence
from mlops_dagster.loop.judging.catching_up import Attempt, Stretch, complete_periods, plan, tried
from mlops_dagster.reports import ReportKind
from mlops_dagster.stores import Stores

REMEMBERED = 100
"""The number of failed runs that are looked at."""

_ENDED_IN_VAIN = [dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]


class Reported(NamedTuple):
    """An asset that is to be made for every partition from the first prediction of its model on."""

    model: str
    kind: ReportKind[Any] | None
    """The report that each of its partitions has once it is made, even if Dagster has forgotten it; or None."""


def catch_up(
    context: dg.ScheduleEvaluationContext,
    stores: Stores,
    assets: Mapping[dg.AssetKey, Reported],
    cadence: Cadence,
    again: Mapping[dg.AssetKey, Collection[str]],
) -> list[dg.RunRequest] | dg.SkipReason:
    """Request runs of the newest complete partitions that assets lack, and of one stretch of those lacked before.

    An asset whose model has no prediction yet is not requested, nor are partitions of a running or queued run.
    Partitions that `again` has for an asset are made once more.
    """
    now, instance, partitions = context.scheduled_execution_time, context.instance, cadence.partitions()
    first_at = {model: stores.rollups.first_at(model) for model in {each.model for each in assets.values()}}
    firsts = {key: first for key, each in assets.items() if (first := first_at[each.model]) is not None}
    if not firsts:
        return dg.SkipReason("no predictions yet")

    def made(key: dg.AssetKey) -> Collection[str]:
        model, kind = assets[key]
        if kind is None:  # of an asset that a team has added, only Dagster knows what was made
            return instance.get_materialized_partitions(key)
        return {f"{start:{partitions.fmt}}" for start in stores.reports.made(kind, model, partitions.start, now)}

    begin = partitions.get_next_partition_window(partitions.start, respect_bounds=False)
    assert begin is not None  # of unbounded partitions there is always a next one
    starts = complete_periods(begin.start, cadence.every, min(firsts.values()), min(now, partitions.end or now))
    every = [f"{start:{partitions.fmt}}" for start in starts]
    unfinished = instance.get_runs(dg.RunsFilter(statuses=NOT_FINISHED_STATUSES))
    in_vain = instance.get_runs(dg.RunsFilter(job_name=cadence.job, statuses=_ENDED_IN_VAIN), limit=REMEMBERED)
    under_way = set(tried(_attempts(unfinished, cadence.job, firsts.keys()), every))
    asked = plan(
        every,
        wanted={
            key: [name for name in every[bisect_right(starts, first - cadence.every) :] if (key, name) not in under_way]
            for key, first in firsts.items()
        },
        made={key: made(key) for key in firsts},
        failures=Counter(tried(_attempts(in_vain, cadence.job, firsts.keys()), every)),
        again=again,
    )
    if not asked:
        return dg.SkipReason("nothing is missing that is not being made" if under_way else "nothing is missing")
    return [_request(cadence.job, now, number, each, each.last == every[-1]) for number, each in enumerate(asked)]


def _request(job_name: str, now: datetime, number: int, stretch: Stretch[dg.AssetKey], new: bool) -> dg.RunRequest:
    return dg.RunRequest(
        # The key has the time of this tick: the same range can be requested again once its run has failed.
        run_key=f"{job_name}:{now:%Y-%m-%dT%H:%M}:{number}:{stretch.first}:{stretch.last}",
        job_name=job_name,
        asset_selection=sorted(stretch.assets),
        tags={RANGE_START: stretch.first, RANGE_END: stretch.last, **({} if new else {PRIORITY_TAG: "-1"})},
    )


def _attempts(runs: Iterable[dg.DagsterRun], job_name: str, assets: Set[dg.AssetKey]) -> Iterator[Attempt[dg.AssetKey]]:
    """Yield what runs attempt, however they were launched; only those of partitions of these assets."""
    for run in runs:
        first = run.tags.get(RANGE_START, run.tags.get(PARTITION_NAME_TAG))
        whole_job = assets if run.job_name == job_name else ()
        chosen = whole_job if run.asset_selection is None else assets & run.asset_selection
        if first is not None:
            yield Attempt(chosen, first, run.tags.get(RANGE_END, first))
