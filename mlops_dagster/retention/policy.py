"""The retention policy of a model: the days for which each kind of its records is kept."""

from enum import StrEnum
from typing import Self

from pydantic import Field, model_validator

from mlops_dagster.documents.strict import StrictModel

LEGAL_DAYS = 183
"""Six months, for which articles 19 and 26 of the EU AI Act ask that the logs of a high-risk system are kept."""

LONGEST_DAYS = 36_500


class Kind(StrEnum):
    """A kind of record that grows with time. The values are the names of the policy's fields, without `_days`."""

    PREDICTIONS = "predictions"
    MINUTE_COUNTS = "minute_counts"
    HOUR_COUNTS = "hour_counts"
    DAY_COUNTS = "day_counts"
    HOUR_REPORTS = "hour_reports"
    REPORTS = "reports"
    DECISIONS = "decisions"
    ALERTS = "alerts"
    PROFILES = "profiles"
    PAGES = "pages"


class RetentionPolicy(StrictModel):
    """The days for which each kind of record is kept; records that a decision still rests on are kept longer.

    Most are kept for 400 days: a year, and a month to compare it in.

    Versions, model cards, deployments and the registry's events are kept for ever: they grow with what people and
    rollouts do, not with traffic.
    """

    predictions_days: int = Field(
        default=400,
        ge=1,
        le=LONGEST_DAYS,
        description="days of the log (rows, labels, quarantine, scored batches)",
    )
    minute_counts_days: int = Field(
        default=123,
        ge=1,
        le=LONGEST_DAYS,
        description="days of counts by the minute, which rollouts and `--at` read: a look needs the month before it, "
        "so the control room can be seen as it was up to 92 days ago",
    )
    hour_counts_days: int = Field(
        default=400, ge=1, le=LONGEST_DAYS, description="days of counts by the hour, which drift is measured on"
    )
    day_counts_days: int = Field(
        default=3_650, ge=1, le=LONGEST_DAYS, description="days of counts by the day: some 50 bytes a version and day"
    )
    hour_reports_days: int = Field(
        default=123, ge=1, le=LONGEST_DAYS, description="days of hourly reports (drift, validation)"
    )
    reports_days: int = Field(default=400, ge=1, le=LONGEST_DAYS, description="days of daily and weekly reports")
    decisions_days: int = Field(
        default=400,
        ge=LEGAL_DAYS,
        le=LONGEST_DAYS,
        description="days after the end of a rollout for which its decisions are kept, with their evidence",
    )
    alerts_days: int = Field(
        default=400,
        ge=LEGAL_DAYS,
        le=LONGEST_DAYS,
        description="days after its resolution for which an alert is kept, with its events",
    )
    profiles_days: int = Field(default=123, ge=1, le=LONGEST_DAYS, description="days of whylogs profiles")
    pages_days: int = Field(default=31, ge=1, le=LONGEST_DAYS, description="days of drawn pages (Evidently, data docs)")

    @model_validator(mode="after")
    def _finer_counts_go_first(self) -> Self:
        if not self.minute_counts_days <= self.hour_counts_days <= self.day_counts_days:
            raise ValueError(
                f"minute_counts_days ({self.minute_counts_days}), hour_counts_days ({self.hour_counts_days}) and "
                f"day_counts_days ({self.day_counts_days}) must not decrease: what goes by the minute stays by the hour"
            )
        return self

    def days(self, kind: Kind) -> int:
        """Return the days for which a kind of record is kept.

        >>> RetentionPolicy().days(Kind.PAGES)
        31
        """
        days: int = getattr(self, f"{kind.value}_days")
        return days
