"""Performance: the quality, latency and error rate of each version, from the prediction log.

The quality measures are those of the version's task: accuracy and F1 of a classifier.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import TypeAlias

from mlops_dagster.monitoring.concept.outcomes import sliced, slices_of
from mlops_dagster.predictions import AnswerCounts, of_arm
from mlops_dagster.tasks import UNKNOWN_TASK, Measure, Task

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


def performance(
    counts: AnswerCounts, slices: Iterable[str] = (), tasks: Mapping[str, Task] | None = None
) -> PerformanceReport:
    """Return the performance of each version in each role.

    Requests that reached no version are left out; a failed one is an error of its version and has no label. `slices`
    are names as on a card, "carrier=AA", by which `counts` were made (`parts_of`); `tasks` are the tasks of the
    versions, for their measures.
    """
    known, slices = tasks or {}, tuple(slices)
    versions = [
        _performance(counts, version, role, slices, known.get(version, UNKNOWN_TASK))
        for version, role in sorted(counts.requests)
    ]
    task = next(iter(known.values()), UNKNOWN_TASK)  # all of one kind
    return PerformanceReport(sum(each.requests for each in versions), tuple(versions), task.merit, task.headings)


def _performance(counts: AnswerCounts, version: str, role: str, slices: Iterable[str], task: Task) -> Performance:
    requests = counts.requests[version, role]
    judged = of_arm(counts.hours, version, role)
    labelled = int(judged["n"].to_numpy().sum())
    sums = task.sums(judged["label"].to_numpy(), judged["prediction"].to_numpy(), judged["n"].to_pylist())
    return Performance(
        version=version,
        role=role,
        requests=requests.rows,
        errors=requests.errors,
        labelled=labelled,
        **requests.latencies._asdict(),
        measures=task.measures(sums) if labelled else {},
        slices=tuple(_slices(counts, version, role, slices, task)),
    )


def _slices(
    counts: AnswerCounts, version: str, role: str, slices: Iterable[str], task: Task
) -> Iterator[SlicePerformance]:
    """Yield the slices that have labelled answers, in the order of `slices`."""
    from mlops_dagster.statistics import wilson_interval

    found: dict[str, Mapping[str, float]] = {}
    for counted, names in sliced(counts, slices):
        its = of_arm(counted, version, role)
        losses = task.losses(its["prediction"].to_numpy(), its["label"].to_numpy())
        for part in slices_of(its, names):
            found |= part.losses(losses, its["n"].to_numpy())
    for name in slices:
        if name in found and (rows := int(found[name]["rows"])):
            right = rows - found[name]["loss"]
            yield SlicePerformance(name, rows, right / rows, wilson_interval(right, rows))


def _between(measure: Measure | None) -> str:
    if measure is None or measure.interval is None:
        return "-"
    low, high = measure.interval
    return f"{measure.value:.3f} ({low:.3f}–{high:.3f})"
