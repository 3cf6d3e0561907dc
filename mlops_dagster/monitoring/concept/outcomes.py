"""A champion's labelled answers of one day, right and wrong: counts that add up, to judge any longer window."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from mlops_dagster.inference import arrow_column, column_of, feature_of, text_column
from mlops_dagster.predictions import INTERVAL, AnswerCounts, ByInterval, ByValue, Part, of_arm
from mlops_dagster.registry.entities.baseline import Baseline
from mlops_dagster.statistics import Counts, Histogram, NumericBins, psi_groups
from mlops_dagster.statistics.bins.columns import MISSING
from mlops_dagster.tasks import UNKNOWN_TASK, Task

if TYPE_CHECKING:
    import pyarrow as pa


class Answers(NamedTuple):
    """A number of labelled answers, and the number of wrong ones among them."""

    rows: int
    wrong: int

    def __sub__(self, other: "Answers") -> "Answers":
        return Answers(self.rows - other.rows, self.wrong - other.wrong)


@dataclass(frozen=True, slots=True)
class DayOfAnswers:
    """All labelled answers of one day that a version gave as champion, and parts of them."""

    version: str
    overall: Answers
    slices: Mapping[str, Answers]
    """The answers of each slice, by its name as in the card: "carrier=AA"."""
    groups: Mapping[str, Mapping[int, Answers]]
    """The answers by feature, and by the number of the group in which the PSI counts the feature's values."""
    hours: Mapping[int, Answers] = field(default_factory=dict)
    """The answers by hour of the day in UTC; empty where the hour is not known."""


def parts_of(slices: Iterable[str], baseline: Baseline | None, bins: int = 10) -> list[Part]:
    """Return the parts by which answers are counted for `day_of_answers`, and for the performance of slices."""
    attributes = [ByValue(name.partition("=")[0]) for name in slices]
    features = baseline.features if baseline is not None else {}
    return [*attributes, *(_part(name, reference, bins) for name, reference in features.items())]


def day_of_answers(
    counts: AnswerCounts,
    version: str,
    *,
    slices: Iterable[str],
    baseline: Baseline | None,
    bins: int = 10,
    task: Task = UNKNOWN_TASK,
) -> DayOfAnswers:
    """Return the labelled answers of a version as champion, from counts by `parts_of` the same arguments.

    Its answers as a canary are left out: they looked good, or it would not have been promoted. Groups are those of the
    baseline, at most `bins` of a numeric feature; without a baseline there are none. The version's `task` says which
    answers are wrong.
    """

    def judged(counted: "pa.Table") -> _Judged:
        its = of_arm(counted, version, "champion")
        return _Judged(its, its["n"].to_numpy(), task.wrong(its["prediction"].to_numpy(), its["label"].to_numpy()))

    groups = {}
    for name, reference in (baseline.features if baseline is not None else {}).items():
        its = counts.parts.get(_part(name, reference, bins))
        if its is not None and (found := _groups(judged(its), name, reference, bins)) is not None:
            groups[name] = found
    hours = judged(counts.hours)
    return DayOfAnswers(
        version,
        Answers(int(hours.n.sum()), int(hours.n[hours.wrong].sum())),
        {
            name: answers
            for its, names in sliced(counts, slices)
            for name, answers in _by_slice(judged(its), names).items()
        },
        groups,
        _by_group(hours.rows["hour"].to_numpy(), hours),
    )


def sliced(counts: AnswerCounts, slices: Iterable[str]) -> "Iterator[tuple[pa.Table, list[str]]]":
    """Yield the counts by each attribute that the log has, with the names of the slices by it."""
    wanted: defaultdict[str, list[str]] = defaultdict(list)
    for name in slices:
        wanted[name.partition("=")[0]].append(name)
    for attribute, names in wanted.items():
        if (its := counts.parts.get(ByValue(attribute))) is not None:
            yield its, names


class _Judged(NamedTuple):
    """Counts of answers, the number of each, and whether it is wrong."""

    rows: "pa.Table"
    n: Counts
    wrong: npt.NDArray[np.bool_]


def _by_slice(judged: _Judged, names: Iterable[str]) -> dict[str, Answers]:
    found = {}
    for part in slices_of(judged.rows, names):
        for name, its in part.losses(judged.wrong.astype(np.float64), judged.n).items():
            found[name] = Answers(int(its["rows"]), int(its["loss"]))
    return found


def _part(name: str, reference: Histogram, bins: int) -> Part:
    if not isinstance(reference.bins, NumericBins):
        return ByValue(name)
    changes = _changes(reference, bins)
    return ByInterval(name, tuple(reference.bins.edges[place] for place in changes))


def _changes(reference: Histogram, bins: int) -> list[int]:
    """Return the places of the edges of bins at which one group of the PSI ends and another begins."""
    line = psi_groups(reference, bins)[MISSING + 1 :]
    return list(np.flatnonzero(line[1:] != line[:-1]).tolist())


def _groups(judged: _Judged, name: str, reference: Histogram, bins: int) -> dict[int, Answers] | None:
    """Return the answers by group of the PSI; None if the log has no values of the feature's kind."""
    groups = psi_groups(reference, bins)
    if isinstance(reference.bins, NumericBins):
        intervals = judged.rows[INTERVAL].fill_null(-1).to_numpy()
        of_interval = groups[[MISSING + 1, *(place + 2 for place in _changes(reference, bins)), MISSING]]
        return _by_group(of_interval[intervals], judged)
    feature = feature_of(name, reference.bins)
    if arrow_column(judged.rows, feature) is None:
        return None
    return _by_group(groups[reference.bins.index(column_of(judged.rows, feature))], judged)


class SlicesOf(NamedTuple):
    """The slices of one attribute, and of each row the place of its slice among them; -1 where it is in none."""

    names: tuple[str, ...]
    places: npt.NDArray[np.intp]

    def losses(self, losses: npt.NDArray[np.float64], n: Counts) -> dict[str, dict[str, float]]:
        """Return the number of answers in each slice ("rows"), and the sum of their losses ("loss").

        Each row is `n` answers.
        """
        size, places = len(self.names) + 1, self.places + 1
        rows = np.bincount(places, weights=n, minlength=size)[1:].astype(np.int64).tolist()
        lost = np.bincount(places, weights=losses * n, minlength=size)[1:].tolist()
        return {name: {"rows": n, "loss": loss} for name, n, loss in zip(self.names, rows, lost, strict=True)}


def slices_of(rows: "pa.Table", slices: Iterable[str]) -> Iterator[SlicesOf]:
    """Find the slices ("feature=value") of the rows, of those features that the rows have, a feature at a time."""
    import pandas as pd

    wanted: defaultdict[str, list[str]] = defaultdict(list)
    for name in slices:
        attribute, _, group = name.partition("=")
        wanted[attribute].append(group)
    for attribute, groups in wanted.items():
        if (values := text_column(rows, attribute)) is None:
            continue
        place = {group: number for number, group in enumerate(groups)}
        codes, known = pd.factorize(values)  # each value is looked up once, however many slices and rows there are
        places = np.array([*(place.get(value, -1) for value in known), -1], dtype=np.intp)
        yield SlicesOf(tuple(f"{attribute}={group}" for group in groups), places[codes])


def _by_group(groups: Counts, judged: _Judged) -> dict[int, Answers]:
    rows = np.bincount(groups, weights=judged.n)
    bad = np.bincount(groups, weights=judged.n * judged.wrong)
    return {group: Answers(int(n), int(bad[group])) for group, n in enumerate(rows) if n}
