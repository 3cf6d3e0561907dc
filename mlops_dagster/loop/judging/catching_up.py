"""Plan of catch-up runs, so that every asset gets every partition (decision 22). Pure.

Each asset is made only for the partitions it lacks. The newest partitions come first, then old history, and last
partitions that have failed before, in ever shorter pieces.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import groupby, product
from typing import Generic, TypeVar

Asset = TypeVar("Asset", bound=Hashable)

LONGEST_CATCH_UP = timedelta(days=31)
"""One run covers at most the hours of this many days."""

LONGEST_RUN = LONGEST_CATCH_UP // timedelta(hours=1)
"""The same limit as a number of partitions, which the cost of a run depends on: the days of two years are one run."""


@dataclass(frozen=True, slots=True)
class Stretch(Generic[Asset]):
    """Partitions without a gap, from the first to the last, that the same assets lack."""

    first: str
    last: str
    assets: frozenset[Asset]
    failures: int
    """The number of times that each of these assets has failed on these partitions."""


def complete_periods(first: datetime, every: timedelta, since: datetime, until: datetime) -> list[datetime]:
    """Return the beginnings of the periods that hold some of the time after `since` and are over by `until`.

    The periods are `every` so long, one after the other from `first` on.

    >>> complete_periods(datetime(2013, 3, 1), timedelta(days=1), datetime(2013, 2, 1), datetime(2013, 3, 3, 9))
    [datetime.datetime(2013, 3, 1, 0, 0), datetime.datetime(2013, 3, 2, 0, 0)]
    """
    skipped = max((since - first) // every, 0)
    return [first + number * every for number in range(skipped, (until - first) // every)]


@dataclass(frozen=True, slots=True)
class Attempt(Generic[Asset]):
    """A run, of some assets, that makes the partitions from the first to the last; names of partitions sort by time."""

    assets: Collection[Asset]
    first: str
    last: str


def tried(attempts: Iterable[Attempt[Asset]], partitions: Sequence[str]) -> Iterator[tuple[Asset, str]]:
    """Yield each asset and each of the partitions that the attempts are for."""
    for each in attempts:
        names = partitions[bisect_left(partitions, each.first) : bisect_right(partitions, each.last)]
        yield from product(each.assets, names)


def plan(
    partitions: Sequence[str],
    wanted: Mapping[Asset, Collection[str]],
    made: Mapping[Asset, Collection[str]],
    failures: Mapping[tuple[Asset, str], int],
    again: Mapping[Asset, Collection[str]],
) -> list[Stretch[Asset]]:
    """Return the stretches to run now: with the newest partition, one older stretch, and those made again.

    Args:
        partitions: all partitions, in order of time.
        wanted: the partitions that each asset should have and that no run is making.
        made: the partitions that each asset has.
        failures: how often each asset has failed on a partition.
        again: the partitions that an asset makes once more, if it has them.

    >>> plan(["1", "2", "3"], {"a": ["1", "2", "3"]}, {"a": {"2"}}, failures={}, again={"a": ["2"]})[0].first
    '3'
    """
    lacking, changed = {}, {}
    for asset, names in wanted.items():
        lacking[asset] = [name for name in names if name not in made[asset]]
        changed[asset] = [name for name in names if name in made[asset] and name in again.get(asset, ())]
    found, once_more = (stretches(partitions, names, failures) for names in (lacking, changed))
    return [*(due(found, partitions[-1]) if found else []), *once_more]


def stretches(
    partitions: Sequence[str],
    lacking: Mapping[Asset, Collection[str]],
    failures: Mapping[tuple[Asset, str], int],
    longest: int = LONGEST_RUN,
) -> list[Stretch[Asset]]:
    """Return the stretches to run, in order: with the newest partition; then never failed before failed, newer first.

    `partitions` are all partitions, in order of time. A stretch has `longest` of them at most, and after each failure
    half as many: one bad hour in a month is soon alone, and holds up no other hour. Assets that lack partitions on
    which they failed run apart from the other assets.

    >>> found = stretches(["1", "2", "3", "4"], {"a": ["4"], "b": ["1", "2", "3", "4"]}, failures={})
    >>> [(each.first, each.last, len(each.assets)) for each in found]
    [('4', '4', 2), ('1', '3', 1)]
    """
    alike: dict[tuple[int, bool], dict[str, set[Asset]]] = {}
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


def due(found: Sequence[Stretch[Asset]], newest: str) -> list[Stretch[Asset]]:
    """Return the new stretches, and one old stretch: the queue stays short, and the next hour does not wait."""
    new = [each for each in found if each.last == newest]
    return [*new, *found[len(new) : len(new) + 1]]


def spread(stretch: Stretch[Asset], model_of: Callable[[Asset], str], runs: int) -> list[Stretch[Asset]]:
    """Return the stretch as one for each of `runs` runs, with as many models each; a model's assets stay together.

    >>> month = Stretch("1", "9", frozenset({"a.drift", "a.rows", "b.drift", "c.drift"}), failures=0)
    >>> [sorted(each.assets) for each in spread(month, lambda asset: asset[0], runs=2)]
    [['a.drift', 'a.rows', 'c.drift'], ['b.drift']]
    """
    models = sorted({model_of(asset) for asset in stretch.assets})
    shards = [set(models[first::runs]) for first in range(min(runs, len(models)))]
    return [replace(stretch, assets=frozenset(a for a in stretch.assets if model_of(a) in shard)) for shard in shards]


def _pieces(names: Sequence[str], longest: int) -> Iterator[Sequence[str]]:
    return (names[start : start + longest] for start in range(0, len(names), longest))
