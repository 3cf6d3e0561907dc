"""The run requests of a schedule that catches up: partitions without a report, or with one that is made again."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Set

import dagster as dg

from mlops_dagster.components.compat import NOT_FINISHED_STATUSES, PARTITION_NAME_TAG, PRIORITY_TAG
from mlops_dagster.components.partitions import RANGE_END, RANGE_START, Cadence
from mlops_dagster.loop.judging.catching_up import Attempt, spread
from mlops_dagster.loop.judging.missing_reports import Calendar, Reported, missing_reports
from mlops_dagster.stores import Stores

REMEMBERED = 100
"""The number of failed runs that are looked at."""

_LATER = {PRIORITY_TAG: "-1"}
_ENDED_IN_VAIN = [dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]


def catch_up(
    context: dg.ScheduleEvaluationContext,
    stores: Stores,
    assets: Mapping[dg.AssetKey, Reported],
    cadence: Cadence,
    again: Mapping[dg.AssetKey, Collection[str]],
) -> list[dg.RunRequest] | dg.SkipReason:
    """Request runs of the newest complete partitions that assets lack, and of one stretch of those lacked before.

    Partitions that `again` has for an asset are made once more. Each is spread over MLOPS_REPORT_RUNS runs by model.
    """
    now, instance, partitions = context.scheduled_execution_time, context.instance, cadence.partitions()
    begin = partitions.get_next_partition_window(partitions.start, respect_bounds=False)
    assert begin is not None  # of unbounded partitions there is always a next one
    calendar = Calendar(begin.start, cadence.every, min(now, partitions.end or now), partitions.fmt)
    unfinished = instance.get_runs(dg.RunsFilter(statuses=NOT_FINISHED_STATUSES))
    in_vain = instance.get_runs(dg.RunsFilter(job_name=cadence.job, statuses=_ENDED_IN_VAIN), limit=REMEMBERED)
    asked = missing_reports(
        stores,
        assets,
        calendar,
        made_of=instance.get_materialized_partitions,  # only Dagster knows it of an asset that a team has added
        under_way=_attempts(unfinished, cadence.job, assets.keys()),
        in_vain=_attempts(in_vain, cadence.job, assets.keys()),
        again=again,
    )
    if isinstance(asked, str):
        return dg.SkipReason(asked)
    runs = stores.settings.report_runs
    shards = [shard for each in asked for shard in spread(each, lambda key: assets[key].model, runs)]
    return [
        dg.RunRequest(
            # The key has the time of this tick: the same range can be requested again once its run has failed.
            run_key=f"{cadence.job}:{now:%Y-%m-%dT%H:%M}:{number}:{each.first}:{each.last}",
            job_name=cadence.job,
            asset_selection=sorted(each.assets),
            tags={RANGE_START: each.first, RANGE_END: each.last} | ({} if calendar.is_newest(each.last) else _LATER),
        )
        for number, each in enumerate(shards)
    ]


def _attempts(runs: Iterable[dg.DagsterRun], job_name: str, assets: Set[dg.AssetKey]) -> Iterator[Attempt[dg.AssetKey]]:
    """Yield what runs attempt, however they were launched; only those of partitions of these assets."""
    for run in runs:
        first = run.tags.get(RANGE_START, run.tags.get(PARTITION_NAME_TAG))
        whole_job = assets if run.job_name == job_name else ()
        chosen = whole_job if run.asset_selection is None else assets & run.asset_selection
        if first is not None:
            yield Attempt(chosen, first, run.tags.get(RANGE_END, first))
