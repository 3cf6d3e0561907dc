"""Planner of catch-up runs: the runs a schedule requests so that every asset gets every partition (decision 22).

Each asset is requested only for the partitions it lacks. The newest partitions come first, then old history, and last
partitions that have failed before, in ever shorter pieces. Partitions of a running or queued run are not requested
again.
"""

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby, product

import dagster as dg
from dagster._core.storage.dagster_run import NOT_FINISHED_STATUSES  # no public name
from dagster._core.storage.tags import PARTITION_NAME_TAG, PRIORITY_TAG

from mlops_dagster.components.partitions import RANGE_END, RANGE_START, complete, over_by

LONGEST_CATCH_UP = timedelta(days=31)
"""One run covers at most the hours of this many days."""

LONGEST_RUN = LONGEST_CATCH_UP // timedelta(hours=1)
"""The same limit as a number of partitions, which the cost of a run depends on: the days of two years are one run."""

REMEMBERED = 100
"""The number of failed runs that are looked at."""

_ENDED_IN_VAIN = [dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]


@dataclass(frozen=True, slots=True)
class Stretch:
    """Partitions without a gap, from the first to the last, that the same assets lack."""

    first: str
    last: str
    assets: frozenset[dg.AssetKey]
    failures: int
    """The number of times that each of these assets has failed on these partitions."""


def stretches(
    partitions: Sequence[str],
    lacking: Mapping[dg.AssetKey, Collection[str]],
    failures: Mapping[tuple[dg.AssetKey, str], int],
    longest: int = LONGEST_RUN,
) -> list[Stretch]:
    """Return the stretches to run, in order: with the newest partition; then never failed before failed, newer first.

    `partitions` are all partitions, in order of time. A stretch has `longest` of them at most, and after each failure
    half as many: one bad hour in a month is soon alone, and holds up no other hour. Assets that lack partitions on
    which they failed run apart from the other assets.

    >>> a, b = dg.AssetKey("a"), dg.AssetKey("b")
    >>> found = stretches(["1", "2", "3", "4"], {a: ["4"], b: ["1", "2", "3", "4"]}, failures={})
    >>> [(each.first, each.last, len(each.assets)) for each in found]
    [('4', '4', 2), ('1', '3', 1)]
    """
    alike: dict[tuple[int, bool], dict[str, set[dg.AssetKey]]] = {}
    for asset, names in lacking.items():
        failed = {name: failures.get((asset, name), 0) for name in names}
        for name, times in failed.items():
            alike.setdefault((times, any(failed.values())), {}).setdefault(name, set()).add(asset)
    found = [
        Stretch(piece[-1], piece[0], frozenset(assets), times)
        for (times, _), lackers in sorted(alike.items())
        for assets, newest_first in groupby(reversed(partitions), key=lambda name: lackers.get(name, set()))
        if assets
        for piece in _pieces(list(newest_first), max(longest >> times, 1))
    ]
    newest_first = sorted(found, key=lambda each: each.last, reverse=True)
    return sorted(newest_first, key=lambda each: (each.last != partitions[-1], each.failures))


def due(found: Sequence[Stretch], newest: str) -> list[Stretch]:
    """Return the new stretches, and one old stretch: the queue stays short, and the next hour does not wait."""
    new = [each for each in found if each.last == newest]
    return [*new, *found[len(new) : len(new) + 1]]


def catch_up(
    context: dg.ScheduleEvaluationContext,
    since: Mapping[dg.AssetKey, datetime | None],
    partitions: dg.TimeWindowPartitionsDefinition,
    *,
    job_name: str,
    again: Collection[str] = (),
) -> list[dg.RunRequest] | dg.SkipReason:
    """Request runs of the newest complete partitions that assets lack, and of one stretch of those lacked before.

    `since` is the time of the first prediction of each asset's model; an asset without one is not requested.
    Partitions named in `again` are made once more.
    """
    now = context.scheduled_execution_time
    firsts = {asset: first for asset, first in since.items() if first is not None}
    if not firsts:
        return dg.SkipReason("no predictions yet")
    instance = context.instance
    every = complete(partitions, min(firsts.values()), now)
    unfinished = instance.get_runs(dg.RunsFilter(statuses=NOT_FINISHED_STATUSES))
    in_vain = instance.get_runs(dg.RunsFilter(job_name=job_name, statuses=_ENDED_IN_VAIN), limit=REMEMBERED)
    under_way = set(_tried(unfinished, job_name, firsts, every))
    lacking, changed = {}, {}
    for asset, first in firsts.items():
        made = instance.get_materialized_partitions(asset)
        its = [name for name in every[over_by(partitions, every, first) :] if (asset, name) not in under_way]
        lacking[asset] = [name for name in its if name not in made]
        changed[asset] = [name for name in its if name in made and name in again]
    failures = Counter(_tried(in_vain, job_name, firsts, every))
    found, once_more = (stretches(every, names, failures) for names in (lacking, changed))
    if not found and not once_more:
        return dg.SkipReason("nothing is missing that is not being made" if under_way else "nothing is missing")
    asked = [*due(found, every[-1]), *once_more]
    return [_request(job_name, now, number, each, each.last == every[-1]) for number, each in enumerate(asked)]


def _request(job_name: str, now: datetime, number: int, stretch: Stretch, new: bool) -> dg.RunRequest:
    return dg.RunRequest(
        # The key has the time of this tick: the same range can be requested again once its run has failed.
        run_key=f"{job_name}:{now:%Y-%m-%dT%H:%M}:{number}:{stretch.first}:{stretch.last}",
        job_name=job_name,
        asset_selection=sorted(stretch.assets),
        tags={RANGE_START: stretch.first, RANGE_END: stretch.last, **({} if new else {PRIORITY_TAG: "-1"})},
    )


def _tried(
    runs: Iterable[dg.DagsterRun], job_name: str, assets: Collection[dg.AssetKey], partitions: Sequence[str]
) -> Iterator[tuple[dg.AssetKey, str]]:
    """Yield each of the assets and partitions that the runs are for, however the runs were launched."""
    for run in runs:  # names of partitions sort by time
        first = run.tags.get(RANGE_START, run.tags.get(PARTITION_NAME_TAG))
        if first is None:
            continue
        last = run.tags.get(RANGE_END, first)
        whole_job = assets if run.job_name == job_name else ()
        chosen = whole_job if run.asset_selection is None else [key for key in run.asset_selection if key in assets]
        names = partitions[bisect_left(partitions, first) : bisect_right(partitions, last)]
        yield from product(chosen, names)


def _pieces(names: Sequence[str], longest: int) -> Iterator[Sequence[str]]:
    return (names[start : start + longest] for start in range(0, len(names), longest))
