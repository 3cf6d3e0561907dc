"""Performance: how right, how fast and how reliable each version was, from what was logged."""

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

COLUMNS = ("version", "role", "status", "prediction", "label", "latency_ms")
"""What `performance` needs of the log's labelled table."""


@dataclass(frozen=True, slots=True)
class Performance:
    """One version in one role. Accuracy and F1 are of the rows that have a label, None without any."""

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

    @property
    def error_rate(self) -> float:
        return self.errors / self.requests


@dataclass(frozen=True, slots=True)
class PerformanceReport:
    """All versions of a window; `rows` counts every scoring, those off the response path too."""

    rows: int
    versions: tuple[Performance, ...]

    def metadata(self) -> dict[str, object]:
        """The numbers as JSON can hold them."""
        return {
            "rows": self.rows,
            "labelled": sum(each.labelled for each in self.versions),
            "versions": [asdict(each) | {"error_rate": each.error_rate} for each in self.versions],
        }


def performance(rows: "pa.Table") -> PerformanceReport:
    """The figures of each version in each role, from `PredictionLog.labelled`.

    Requests that reached no version are left out; a failed one is an error of its version and has no label.
    """
    frame = rows.select(list(COLUMNS)).to_pandas()
    reached = frame[frame["version"].fillna("") != ""]
    groups = reached.groupby(["version", "role"], sort=True)
    return PerformanceReport(
        rows=len(reached), versions=tuple(_of_version(version, role, group) for (version, role), group in groups)
    )


def _of_version(version: str, role: str, rows: "pd.DataFrame") -> Performance:
    from mlops_dagster.statistics import classification_metrics

    judged = rows[rows["label"].notna() & rows["prediction"].notna()]
    found = classification_metrics(judged["label"].to_list(), judged["prediction"].to_list()) if len(judged) else None
    p50, p95, p99 = rows["latency_ms"].quantile([0.50, 0.95, 0.99]).tolist()
    return Performance(
        version=version,
        role=role,
        requests=len(rows),
        errors=int((rows["status"] == "failed").sum()),
        labelled=len(judged),
        accuracy=None if found is None else found.accuracy,
        micro_f1=None if found is None else found.micro_f1,
        macro_f1=None if found is None else found.macro_f1,
        p50_ms=p50,
        p95_ms=p95,
        p99_ms=p99,
    )
