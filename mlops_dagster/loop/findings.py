"""The kinds of reports on a model, and what each of them holds."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from mlops_dagster.monitoring import ConceptReport, DayOfAnswers, DriftReport, LabelDriftReport, PerformanceReport
from mlops_dagster.reports import DAY, HOUR, WEEK, ReportKind
from mlops_dagster.retraining.weigh import Weighed
from mlops_dagster.rollout.floor.look import FloorLook


@dataclass(frozen=True, slots=True)
class ValidatedHour:
    """What the model's suite found among the rows of an hour."""

    rows: int
    failures: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class HourOfDrift:
    """Drift of the window that ends with an hour; None of all of it without a champion that has a baseline."""

    drift: DriftReport | None = None
    retraining: Weighed | None = None
    """Whether the drift asks for a retraining."""
    failed_hours: tuple[datetime, ...] = ()
    """Hours of the window that failed their validation."""


@dataclass(frozen=True, slots=True)
class DayOfPerformance:
    """Performance of every version on a day, and what follows for the champion."""

    performance: PerformanceReport
    labels: int
    """Labels of the day's predictions that were known when the report was made."""
    answers: DayOfAnswers | None = None
    """Answers of the champion; None without one."""
    floor: FloorLook | None = None
    """The champion against its macro-F1 floor; of the last day of a run alone, as `concept`."""
    concept: ConceptReport | None = None


@dataclass(frozen=True, slots=True)
class WeekOfLabels:
    """Labels that became known in a week; None without a champion that has a baseline."""

    labels: LabelDriftReport | None = None


VALIDATION: Final = ReportKind("validation", HOUR, ValidatedHour)
DRIFT: Final = ReportKind("drift", HOUR, HourOfDrift)
PERFORMANCE: Final = ReportKind("performance", DAY, DayOfPerformance)
LABELS: Final = ReportKind("labels", WEEK, WeekOfLabels)
