"""The alert policy of a model: the limits of its rules, and the certainty and duration that an alert needs."""

from typing import Literal, Self

from pydantic import Field, model_validator

from mlops_dagster.documents.strict import StrictModel


class Levels(StrictModel):
    """The two limits of a rule. Without a critical one the rule never gets past a warning."""

    warning: float
    critical: float | None

    @model_validator(mode="after")
    def _critical_is_worse(self) -> Self:
        if self.critical is not None and not self._is_worse(self.critical, self.warning):
            raise ValueError(f"critical ({self.critical:g}) must be worse than warning ({self.warning:g})")
        return self

    def _is_worse(self, one: float, other: float) -> bool:
        return one > other


class RateLimits(Levels):
    """Limits of a rate.

    `kind: proof` opens an alert once the counts prove that the rate is beyond its limit, with `false_alarms_a_year` on
    average while the rate is at the limit (fewer if it is better). `kind: point` opens it once the rate of the shown
    window has been beyond the limit for `for_minutes`, and resolves it after `clear_minutes` within.

    `rows_per_observation` is how many counts are worth one, because they share causes; by default, as estimated when
    the version was evaluated, and 1 where that is unknown.
    """

    kind: Literal["proof", "point"] = Field(default="proof", description="proof, or a rate over its limit for a time")
    false_alarms_a_year: float = Field(
        default=1.0, gt=0, le=366, description="of `proof`: at most so many a year on average, at the limit"
    )
    min_samples: int = Field(default=200, ge=1, description="counts under which nothing is said")
    rows_per_observation: float | None = Field(
        default=None, ge=1, le=1e6, description="counts that are worth one; else as the baseline has it, else 1"
    )
    for_minutes: float = Field(default=15, ge=0, le=10_080, description="of `point`: beyond the limit for so long")
    clear_minutes: float = Field(default=15, ge=0, le=10_080, description="of `point`: within it for so long resolves")


class AccuracyLimits(RateLimits):
    """Limits of the live accuracy, on labels in the order of their arrival; the last 24 hours of them are shown."""

    warning: float = Field(default=0.93, gt=0, lt=1, description="accuracy under which a warning opens")
    critical: float | None = Field(default=0.91, gt=0, lt=1, description="accuracy under which it is critical")

    def _is_worse(self, one: float, other: float) -> bool:
        return one < other


class ErrorLimits(RateLimits):
    """Limits of the share of failed requests; the last 10 minutes are shown."""

    warning: float = Field(default=0.005, gt=0, lt=1, description="share over which a warning opens")
    critical: float | None = Field(default=0.01, gt=0, lt=1, description="share over which it is critical")


class NullLimits(RateLimits):
    """Limits of the share of missing values of a feature; its share in the training set is tolerated anyway."""

    warning: float = Field(default=0.002, gt=0, lt=1, description="share over which a warning opens")
    critical: float | None = Field(default=0.005, gt=0, lt=1, description="share over which it is critical")


class LatencyLimits(Levels):
    """Limits of the 99th percentile of the latency in the last 10 minutes; in up to 24 hours if requests are few."""

    warning: float = Field(default=200.0, gt=0, description="milliseconds over which a warning opens")
    critical: float | None = Field(default=500.0, gt=0, description="milliseconds over which it is critical")
    min_samples: int = Field(default=200, ge=1, description="requests under which nothing is said")
    for_minutes: float = Field(default=5, ge=0, le=10_080, description="over the limit for so long")
    clear_minutes: float = Field(default=10, ge=0, le=10_080, description="under 90 % of it for so long resolves")


class DebtLimits(Levels):
    """Limits of the time for which no labels come for answers that wait, as a multiple of the model's usual time."""

    warning: float = Field(default=2.0, gt=1, description="multiple of the usual time over which a warning opens")
    critical: float | None = Field(default=4.0, gt=1, description="multiple over which it is critical")
    for_minutes: float = Field(default=60, ge=0, le=10_080, description="over the limit for so long")


class TrafficLimits(StrictModel):
    """The traffic that is missed: an hour without requests, whose like a week before had some."""

    min_requests: int = Field(default=20, ge=1, description="requests of that hour a week before")
    for_minutes: float = Field(default=15, ge=0, le=10_080, description="silent for so long")


class ReportedDrift(StrictModel):
    """A verdict of the hourly drift report, whose limits are those of `drift`."""

    clear_minutes: float = Field(default=180, ge=0, le=10_080, description="stable for so long resolves")


class LateReports(StrictModel):
    """The ages of the newest reports over which a warning opens; at twice the age it is critical."""

    hourly_hours: float = Field(default=2, gt=1, le=8_784, description="hours since the last hour reported on")
    daily_hours: float = Field(default=26, gt=24, le=8_784, description="hours since the last day reported on")
    weekly_days: float = Field(default=8, gt=7, le=366, description="days since the last week reported on")


class AlertPolicy(StrictModel):
    """The rules that watch a model, with their limits; `null` turns a rule off.

    >>> AlertPolicy.model_validate({"accuracy": {"warning": 0.9, "critical": None}, "ks": None}).accuracy.kind
    'proof'
    """

    accuracy: AccuracyLimits | None = AccuracyLimits()
    error_rate: ErrorLimits | None = ErrorLimits()
    p99_ms: LatencyLimits | None = LatencyLimits()
    null_rate: NullLimits | None = NullLimits()
    psi: ReportedDrift | None = ReportedDrift()
    ks: ReportedDrift | None = ReportedDrift()
    label_debt: DebtLimits | None = DebtLimits()
    no_traffic: TrafficLimits | None = TrafficLimits()
    report_late: LateReports | None = LateReports()
    stale_hours: float = Field(
        default=24, gt=0, le=8_784, description="hours without data after which the alert no_data names a rule"
    )
