"""A champion's labelled answers of one day, right and wrong: counts that add up, to judge any longer window."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from mlops_dagster.inference import arrow_column, column_of, feature_of, text_column
from mlops_dagster.registry.entities.baseline import Baseline
from mlops_dagster.statistics import Counts, psi_groups
from mlops_dagster.tasks import UNKNOWN_TASK, Task

if TYPE_CHECKING:
    import pyarrow as pa

_Key = TypeVar("_Key", str, int)


class Answers(NamedTuple):
    """A number of labelled answers, and the number of wrong ones among them."""

    rows: int
    wrong: int

    def plus(self, other: "Answers") -> "Answers":
        """Both together; `+` puts tuples one after the other."""
        return Answers(self.rows + other.rows, self.wrong + other.wrong)

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


def day_of_answers(
    rows: "pa.Table",
    version: str,
    *,
    slices: Iterable[str],
    baseline: Baseline | None,
    bins: int = 10,
    task: Task = UNKNOWN_TASK,
) -> DayOfAnswers:
    """Count the labelled answers of a version as champion, from `PredictionLog.labelled`.

    Its answers as a canary are left out: they looked good, or it would not have been promoted. Groups are those of the
    baseline, at most `bins` of a numeric feature; without a baseline there are none. The version's `task` says which
    answers are wrong.
    """
    import pyarrow.compute as pc

    judged = rows.filter(pc.and_(pc.is_valid(rows["label"]), pc.is_valid(rows["prediction"])))
    its = judged.filter(pc.and_(pc.equal(judged["version"], version), pc.equal(judged["role"], "champion")))
    wrong = task.wrong(its["prediction"].to_numpy(), its["label"].to_numpy())
    groups = {}
    for name, reference in (baseline.features if baseline is not None else {}).items():
        feature = feature_of(name, reference.bins)
        if arrow_column(its, feature) is not None:
            cells = reference.bins.index(column_of(its, feature))
            groups[name] = _by_group(psi_groups(reference, bins)[cells], wrong)
    return DayOfAnswers(
        version,
        Answers(its.num_rows, int(wrong.sum())),
        {name: found for part in slices_of(its, slices) for name, found in part.answers(wrong).items()},
        groups,
        _by_group(pc.hour(its["event_time"]).to_numpy(), wrong) if "event_time" in its.column_names else {},
    )


def added_up(parts: Iterable[DayOfAnswers]) -> DayOfAnswers:
    """Return the answers of a day, added up from its parts; at least one part is required."""
    first, *others = parts
    total = first
    for part in others:
        groups = {
            name: _added(total.groups.get(name, {}), part.groups.get(name, {}))
            for name in {**total.groups, **part.groups}
        }
        total = DayOfAnswers(
            total.version,
            total.overall.plus(part.overall),
            _added(total.slices, part.slices),
            groups,
            _added(total.hours, part.hours),
        )
    return total


def _added(one: Mapping[_Key, Answers], other: Mapping[_Key, Answers]) -> dict[_Key, Answers]:
    nothing = Answers(0, 0)
    return {key: one.get(key, nothing).plus(other.get(key, nothing)) for key in {**one, **other}}


class SlicesOf(NamedTuple):
    """The slices of one attribute, and of each row the place of its slice among them; -1 where it is in none."""

    names: tuple[str, ...]
    places: npt.NDArray[np.intp]

    def answers(self, wrong: npt.NDArray[np.bool_]) -> dict[str, Answers]:
        """Return how many rows are in each slice, and how many of them are wrong."""
        rows, bad = (
            np.bincount(places + 1, minlength=len(self.names) + 1)[1:].tolist()
            for places in (self.places, self.places[wrong])
        )
        return {name: Answers(*counts) for name, *counts in zip(self.names, rows, bad, strict=True)}

    def losses(self, losses: npt.NDArray[np.float64]) -> dict[str, dict[str, float]]:
        """Return the number of rows in each slice ("rows"), and the sum of their losses ("loss")."""
        size, places = len(self.names) + 1, self.places + 1
        rows = np.bincount(places, minlength=size)[1:].tolist()
        lost = np.bincount(places, weights=losses, minlength=size)[1:].tolist()
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


def _by_group(groups: Counts, wrong: npt.NDArray[np.bool_]) -> dict[int, Answers]:
    rows, bad = np.bincount(groups), np.bincount(groups, weights=wrong)
    return {group: Answers(int(n), int(bad[group])) for group, n in enumerate(rows) if n}
