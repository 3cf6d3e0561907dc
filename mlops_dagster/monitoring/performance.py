"""Performance: the accuracy, latency and error rate of each version, from the prediction log."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, TypeAlias

from mlops_dagster.monitoring.concept.outcomes import Answers, SlicesOf, slices_of

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
    """The accuracy of a version in one role on one slice of its labelled rows."""

    name: str
    labelled: int
    accuracy: float
    interval: Interval


@dataclass(frozen=True, slots=True)
class Performance:
    """The performance of one version in one role; accuracy and F1 are of the labelled rows, None without any."""

    version: str
    role: str
    requests: int
    errors: int
    labelled: int
    accuracy: float | None
    micro_f1: float | None
    macro_f1: float | None
    p50_ms: float
    p95_ms: float
    p99_ms: float
    accuracy_interval: Interval | None = None
    """Wilson's interval; it holds for micro-F1 too, which equals the accuracy where each row has one label."""
    macro_f1_interval: Interval | None = None
    slices: tuple[SlicePerformance, ...] = ()
    """The slices that have labelled rows."""

    @property
    def error_rate(self) -> float:
        return self.errors / self.requests


@dataclass(frozen=True, slots=True)
class PerformanceReport:
    """The performance of all versions of a window; `rows` counts every scoring, also those off the response path."""

    rows: int
    versions: tuple[Performance, ...]

    def headline(self) -> dict[str, float]:
        """Return the numbers to plot over time, of the champion with the most answers; unknown numbers are left out."""
        champions = [each for each in self.versions if each.role == "champion"]
        if not champions:
            return {}
        its = max(champions, key=lambda each: each.requests)
        accuracy = {} if its.accuracy is None else {"accuracy": its.accuracy}
        latency = {"p50_ms": its.p50_ms, "p95_ms": its.p95_ms, "p99_ms": its.p99_ms}
        return {**accuracy, "error_rate": its.error_rate, **latency, "requests": its.requests}

    def metadata(self) -> dict[str, object]:
        """Return the numbers as JSON can hold them."""
        return {
            **self.headline(),
            "rows": self.rows,
            "labelled": sum(each.labelled for each in self.versions),
            "versions": [asdict(each) | {"error_rate": each.error_rate} for each in self.versions],
        }

    def table(self) -> list[dict[str, str | int | float]]:
        """Return a row for each version in each role: accuracy with 95 % intervals, latency and error rate."""
        return [
            {
                "version": each.version,
                "role": each.role,
                "requests": each.requests,
                "failed": f"{each.error_rate:.2%}",
                "labelled": each.labelled,
                "accuracy": _between(each.accuracy, each.accuracy_interval),
                "macro-F1": _between(each.macro_f1, each.macro_f1_interval),
                "P50 ms": round(each.p50_ms, 1),
                "P95 ms": round(each.p95_ms, 1),
                "P99 ms": round(each.p99_ms, 1),
            }
            for each in self.versions
        ]

    def slice_table(self) -> list[dict[str, str | int]]:
        """Return a row for each slice of each version, those with the lowest accuracy first."""
        parts = [(part, each) for each in self.versions for part in each.slices]
        return [
            {
                "slice": part.name,
                "version": each.version,
                "role": each.role,
                "labelled": part.labelled,
                "accuracy": _between(part.accuracy, part.interval),
            }
            for part, each in sorted(parts, key=lambda pair: pair[0].accuracy)
        ]


class PerformanceCounts:
    """Counts rows in pieces, from `PredictionLog.labelled`: of each row only its latency is kept.

    Requests that reached no version are left out; a failed one is an error of its version and has no label.
    `slices` are names as on a card, "carrier=AA"; `classes` are the classes of each version, for its macro-F1.
    """

    def __init__(self, slices: Iterable[str] = (), classes: Mapping[str, Collection[str]] | None = None) -> None:
        self._slices = tuple(slices)
        self._classes = classes or {}
        self._versions: defaultdict[tuple[str, str], _Counts] = defaultdict(_Counts)

    def add(self, rows: "pa.Table") -> None:
        """Count more rows."""
        frame = rows.select(list(COLUMNS)).to_pandas()
        parts = list(slices_of(rows, self._slices))
        reached = frame[frame["version"].fillna("") != ""]
        for (version, role), its in reached.groupby(["version", "role"], sort=False):
            self._versions[version, role].add(its, parts)

    def report(self) -> PerformanceReport:
        """Return the performance of each version in each role."""
        versions = [
            counts.performance(version, role, self._slices, self._classes.get(version))
            for (version, role), counts in sorted(self._versions.items())
        ]
        return PerformanceReport(rows=sum(each.requests for each in versions), versions=tuple(versions))


def performance(
    pieces: "Iterable[pa.Table]", slices: Iterable[str] = (), classes: Mapping[str, Collection[str]] | None = None
) -> PerformanceReport:
    """Return the performance of each version in each role from pieces of rows, see `PerformanceCounts`."""
    counts = PerformanceCounts(slices, classes)
    for rows in pieces:
        counts.add(rows)
    return counts.report()


class _Counts:
    """One version in one role."""

    def __init__(self) -> None:
        self._latencies: list[npt.NDArray[np.float64]] = []
        self._errors = 0
        self._confusion: Counter[tuple[str, str]] = Counter()
        self._slices: dict[str, Answers] = {}

    def add(self, rows: "pd.DataFrame", slices: Iterable[SlicesOf]) -> None:
        """Count more rows; `slices` are of all rows of the piece, and the index of `rows` gives places in the piece."""
        from mlops_dagster.statistics import confusion_counts

        self._latencies.append(rows["latency_ms"].to_numpy())
        self._errors += int((rows["status"] == "failed").sum())
        judged = rows[rows["label"].notna() & rows["prediction"].notna()]
        if judged.empty:
            return
        self._confusion.update(confusion_counts(judged["label"].to_list(), judged["prediction"].to_list()))
        wrong, place = (judged["label"] != judged["prediction"]).to_numpy(), judged.index.to_numpy()
        for part in slices:
            for name, found in SlicesOf(part.names, part.places[place]).answers(wrong).items():
                self._slices[name] = self._slices.get(name, Answers(0, 0)).plus(found)

    def performance(
        self, version: str, role: str, slices: Iterable[str], classes: Collection[str] | None
    ) -> Performance:
        import numpy as np

        from mlops_dagster.statistics import macro_f1_interval, metrics_from_confusion, wilson_interval

        latencies = np.concatenate(self._latencies)
        p50, p95, p99 = np.nanquantile(latencies, [0.50, 0.95, 0.99]).tolist()
        found = metrics_from_confusion(self._confusion, classes) if self._confusion else None
        right = sum(n for (label, prediction), n in self._confusion.items() if label == prediction)
        labelled = self._confusion.total()
        parts = {name: self._slices[name] for name in slices if name in self._slices and self._slices[name].rows}
        return Performance(
            version=version,
            role=role,
            requests=len(latencies),
            errors=self._errors,
            labelled=labelled,
            accuracy=None if found is None else found.accuracy,
            micro_f1=None if found is None else found.micro_f1,
            macro_f1=None if found is None else found.macro_f1,
            p50_ms=p50,
            p95_ms=p95,
            p99_ms=p99,
            accuracy_interval=None if found is None else wilson_interval(right, labelled),
            macro_f1_interval=None if found is None else macro_f1_interval(self._confusion, classes=classes),
            slices=tuple(
                SlicePerformance(
                    name,
                    part.rows,
                    (part.rows - part.wrong) / part.rows,
                    wilson_interval(part.rows - part.wrong, part.rows),
                )
                for name, part in parts.items()
            ),
        )


def _between(value: float | None, interval: Interval | None) -> str:
    if value is None or interval is None:
        return "-"
    return f"{value:.3f} ({interval[0]:.3f}–{interval[1]:.3f})"
