"""The kinds of reports on a model, and the content of each kind."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, TypedDict

from mlops_dagster.documents.texts import counted
from mlops_dagster.monitoring import (
    ConceptReport,
    DayOfAnswers,
    DriftReport,
    EstimatedPerformance,
    LabelDriftReport,
    PerformanceReport,
    ValidationResult,
    Verdict,
)
from mlops_dagster.registry import Validation
from mlops_dagster.reports import DAY, HOUR, WEEK, ReportKind
from mlops_dagster.retraining.weigh import Weighed
from mlops_dagster.rollout.floor.look import FloorLook


@dataclass(frozen=True, slots=True)
class ValidatedHour:
    """The result of the model's suite on the rows of an hour."""

    rows: int
    failures: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class HourOfDrift:
    """The drift of the window that ends with an hour; all None without a champion that has a baseline."""

    drift: DriftReport | None = None
    retraining: Weighed | None = None
    """The weighing of whether the drift asks for a retraining, with its reason."""
    failed_hours: tuple[datetime, ...] = ()
    """The hours of the window that failed their validation."""


@dataclass(frozen=True, slots=True)
class DayOfPerformance:
    """The performance of every version on a day, and the findings on the champion."""

    performance: PerformanceReport
    labels: int
    """The number of labels of the day's predictions that were known when the report was made."""
    answers: DayOfAnswers | None = None
    """The answers of the champion; None without a champion."""
    floor: FloorLook | None = None
    """The champion against the floor of its headline measure; only for the last day of a run, like `concept`."""
    concept: ConceptReport | None = None
    estimate: EstimatedPerformance | None = None
    """The performance expected from the champion's scores; None if its version has no calibration."""
    action: str = ""
    """The action on a proven loss of the champion, as a sentence; empty if none was taken."""


@dataclass(frozen=True, slots=True)
class WeekOfLabels:
    """The drift of the labels that became known in a week; None without a champion that has a baseline."""

    labels: LabelDriftReport | None = None


FORGOTTEN_AFTER: Final = timedelta(days=3)
"""A report older than this is not a reason to act on the champion now."""

VALIDATION: Final = ReportKind("validation", HOUR, ValidatedHour)
DRIFT: Final = ReportKind("drift", HOUR, HourOfDrift)
PERFORMANCE: Final = ReportKind("performance", DAY, DayOfPerformance)
LABELS: Final = ReportKind("labels", WEEK, WeekOfLabels)

REPORTS: Final[Mapping[str, ReportKind[Any]]] = {
    "prediction_batch": VALIDATION,
    "drift_report": DRIFT,
    "performance_report": PERFORMANCE,
    "label_drift": LABELS,
}
"""The kind of report that each of a model's monitoring assets makes for a period."""


class _Verdict(TypedDict):
    verdict: str
    reason: str


NO_CHAMPION: Final[_Verdict] = {"verdict": Verdict.INCONCLUSIVE.value, "reason": "no champion"}
"""Verdict and reason of a period without a champion that has a baseline."""

_NAMED: Final = 3
"""The number of reasons that a sentence names at most."""


def outcome_of(found: ValidationResult | Validation) -> str:
    """Return the verdict of a validation in a sentence: the first reasons, or that there are none."""
    told = [*found.failures, *found.errors] or [f"in doubt: {doubt}" for doubt in found.doubts]
    more = f" and {len(told) - _NAMED} more" if len(told) > _NAMED else ""
    return "; ".join(told[:_NAMED]) + more or (
        f"{counted(found.rows, 'rows')} met the suite" if found.rows else "no rows"
    )
