"""Performance: the quality, latency and error rate of each version, from the prediction log.

The quality measures are those of the version's task: accuracy and F1 of a classifier.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from mlops_dagster.monitoring.concept.outcomes import SlicesOf, slices_of
from mlops_dagster.tasks import UNKNOWN_TASK, Measure, Task

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd
    import pyarrow as pa

COLUMNS = ("version", "role", "status", "prediction", "label", "latency_ms")
"""The columns of the log's labelled table that `performance` needs, besides the features of the slices."""

Interval: TypeAlias = tuple[float, float]
"""The lower and upper bound with 95 % confidence; rows are taken to be independent."""


@dataclass(frozen=True, slots=True)
class SlicePerformance:
    """The merit (1 - mean loss; the accuracy of a classifier) of a version in one role on a slice of labelled rows."""

    name: str
    labelled: int
    merit: float
    interval: Interval


@dataclass(frozen=True, slots=True)
class Performance:
    """The performance of one version in one role."""

    version: str
    role: str
    requests: int
    errors: int
    labelled: int
    p50_ms: float
    p95_ms: float
    p99_ms: float
    measures: Mapping[str, Measure] = field(default_factory=dict)
    """The quality measures of the labelled rows, by name; empty without any."""
    slices: tuple[SlicePerformance, ...] = ()
    """The slices that have labelled rows."""

    @property
    def error_rate(self) -> float:
        return self.errors / self.requests

    def value(self, measure: str) -> float | None:
        """Return the value of a quality measure; None if it is not known."""
        found = self.measures.get(measure)
        return None if found is None else found.value

    def metadata(self, merit: str, measures: Collection[str]) -> dict[str, object]:
        """Return the numbers as JSON can hold them: each of `measures`, and its interval; null if it is not known."""
        plain = {name: value for name, value in asdict(self).items() if name not in ("measures", "slices")}
        known = {name: self.measures.get(name) for name in (*measures, *self.measures)}
        values = {name: None if its is None else its.value for name, its in known.items()}
        intervals = {f"{name}_interval": None if its is None else its.interval for name, its in known.items()}
        slices = [
            {"name": part.name, "labelled": part.labelled, merit: part.merit, "interval": part.interval}
            for part in self.slices
        ]
        return {**plain, **values, **intervals, "slices": slices, "error_rate": self.error_rate}


@dataclass(frozen=True, slots=True)
class PerformanceReport:
    """The performance of all versions of a window; `rows` counts every scoring, also those off the response path."""

    rows: int
    versions: tuple[Performance, ...]
    merit: str = UNKNOWN_TASK.merit
    """The name of 1 - mean loss, the measure that is plotted over time."""
    headings: Mapping[str, str] = field(default_factory=lambda: UNKNOWN_TASK.headings)
    """The measures that the table shows, with their headings."""

    def headline(self) -> dict[str, float]:
        """Return the numbers to plot over time, of the champion with the most answers; unknown numbers are left out."""
        champions = [each for each in self.versions if each.role == "champion"]
        if not champions:
            return {}
        its = max(champions, key=lambda each: each.requests)
        merit = its.value(self.merit)
        merits = {} if merit is None else {self.merit: merit}
        latency = {"p50_ms": its.p50_ms, "p95_ms": its.p95_ms, "p99_ms": its.p99_ms}
        return {**merits, "error_rate": its.error_rate, **latency, "requests": its.requests}

    def metadata(self) -> dict[str, object]:
        """Return the numbers as JSON can hold them."""
        return {
            **self.headline(),
            "rows": self.rows,
            "labelled": sum(each.labelled for each in self.versions),
            "versions": [each.metadata(self.merit, self.headings) for each in self.versions],
        }

    def table(self) -> list[dict[str, str | int | float]]:
        """Return a row for each version in each role: its measures with 95 % intervals, latency and error rate."""
        return [
            {
                "version": each.version,
                "role": each.role,
                "requests": each.requests,
                "failed": f"{each.error_rate:.2%}",
                "labelled": each.labelled,
                **{heading: _between(each.measures.get(name)) for name, heading in self.headings.items()},
                "P50 ms": round(each.p50_ms, 1),
                "P95 ms": round(each.p95_ms, 1),
                "P99 ms": round(each.p99_ms, 1),
            }
            for each in self.versions
        ]

    def slice_table(self) -> list[dict[str, str | int]]:
        """Return a row for each slice of each version, those with the lowest merit first."""
        parts = [(part, each) for each in self.versions for part in each.slices]
        return [
            {
                "slice": part.name,
                "version": each.version,
                "role": each.role,
                "labelled": part.labelled,
                self.merit: _between(Measure(part.merit, part.interval)),
            }
            for part, each in sorted(parts, key=lambda pair: pair[0].merit)
        ]


class PerformanceCounts:
    """Counts rows in pieces, from `PredictionLog.labelled`: of each row only its latency is kept.

    Requests that reached no version are left out; a failed one is an error of its version and has no label.
    `slices` are names as on a card, "carrier=AA"; `tasks` are the tasks of the versions, for their measures.
    """

    def __init__(self, slices: Iterable[str] = (), tasks: Mapping[str, Task] | None = None) -> None:
        self._slices = tuple(slices)
        self._tasks = tasks or {}
        self._versions: dict[tuple[str, str], _Counts] = {}

    def add(self, rows: "pa.Table") -> None:
        """Count more rows."""
        frame = rows.select(list(COLUMNS)).to_pandas()
        parts = list(slices_of(rows, self._slices))
        reached = frame[frame["version"].fillna("") != ""]
        for (version, role), its in reached.groupby(["version", "role"], sort=False):
            if (version, role) not in self._versions:
                self._versions[version, role] = _Counts(self._tasks.get(version, UNKNOWN_TASK))
            self._versions[version, role].add(its, parts)

    def report(self) -> PerformanceReport:
        """Return the performance of each version in each role."""
        versions = [
            counts.performance(version, role, self._slices)
            for (version, role), counts in sorted(self._versions.items())
        ]
        task = next(iter(self._tasks.values()), UNKNOWN_TASK)  # all of one kind
        return PerformanceReport(sum(each.requests for each in versions), tuple(versions), task.merit, task.headings)


def performance(
    pieces: "Iterable[pa.Table]", slices: Iterable[str] = (), tasks: Mapping[str, Task] | None = None
) -> PerformanceReport:
    """Return the performance of each version in each role from pieces of rows, see `PerformanceCounts`."""
    counts = PerformanceCounts(slices, tasks)
    for rows in pieces:
        counts.add(rows)
    return counts.report()


class _Counts:
    """One version in one role."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._latencies: list[npt.NDArray[np.float64]] = []
        self._errors = 0
        self._labelled = 0
        self._sums: Counter[tuple[str, ...]] = Counter()
        self._slices: defaultdict[str, Counter[str]] = defaultdict(Counter)

    def add(self, rows: "pd.DataFrame", slices: Iterable[SlicesOf]) -> None:
        """Count more rows; `slices` are of all rows of the piece, and the index of `rows` gives places in the piece."""
        self._latencies.append(rows["latency_ms"].to_numpy())
        self._errors += int((rows["status"] == "failed").sum())
        judged = rows[rows["label"].notna() & rows["prediction"].notna()]
        if judged.empty:
            return
        self._labelled += len(judged)
        truths, predictions = judged["label"].to_numpy(), judged["prediction"].to_numpy()
        self._sums.update(self._task.sums(truths, predictions))
        losses, place = self._task.losses(predictions, truths), judged.index.to_numpy()
        for part in slices:
            for name, counts in SlicesOf(part.names, part.places[place]).losses(losses).items():
                self._slices[name].update(counts)

    def performance(self, version: str, role: str, slices: Iterable[str]) -> Performance:
        import numpy as np

        from mlops_dagster.statistics import wilson_interval

        latencies = np.concatenate(self._latencies)
        p50, p95, p99 = np.nanquantile(latencies, [0.50, 0.95, 0.99]).tolist()
        parts = {name: self._slices[name] for name in slices if self._slices[name]["rows"]}
        return Performance(
            version=version,
            role=role,
            requests=len(latencies),
            errors=self._errors,
            labelled=self._labelled,
            p50_ms=p50,
            p95_ms=p95,
            p99_ms=p99,
            measures=self._task.measures(self._sums) if self._labelled else {},
            slices=tuple(
                SlicePerformance(
                    name,
                    rows := part["rows"],
                    (rows - part["loss"]) / rows,
                    wilson_interval(rows - part["loss"], rows),
                )
                for name, part in parts.items()
            ),
        )


def _between(measure: Measure | None) -> str:
    if measure is None or measure.interval is None:
        return "-"
    low, high = measure.interval
    return f"{measure.value:.3f} ({low:.3f}–{high:.3f})"
