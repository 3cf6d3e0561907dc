"""Policies of drift, concept drift and performance: limits, windows, and the rows that are worth one observation."""

from collections.abc import Collection, Mapping
from enum import StrEnum
from typing import Self

from pydantic import Field, model_validator

from mlops_dagster.documents.strict import StrictModel
from mlops_dagster.errors import InvalidInputError
from mlops_dagster.registry.cards import OVERALL
from mlops_dagster.statistics import INDEPENDENT, DesignEffect

_ROWS_OF_CHI_SQUARED = 200


class Verdict(StrEnum):
    """The verdict of a drift report, the mildest first; `INCONCLUSIVE` opens no gate and starts nothing."""

    STABLE = "stable"
    INCONCLUSIVE = "inconclusive"
    MONITOR = "monitor"
    RETRAIN = "retrain"


class PerformancePolicy(StrictModel):
    """Limits on a champion's macro-F1 on matured labels.

    Macro-F1 is of the last `window_days` whose labels are complete, so that one unusual day does not decide. Under
    `alert` an alert is raised. Under `floor` the previous champion replaces the current one, if it is proven to do
    better on the same labels; if it does not, because the world has changed, a new version is trained.

    >>> PerformancePolicy(alert=0.8, floor=0.75).window_days
    7
    """

    alert: float = Field(default=0.87, gt=0, lt=1, description="macro-F1 under which an alert opens")
    floor: float = Field(default=0.83, gt=0, lt=1, description="macro-F1 under which something is done")
    window_days: int = Field(
        default=7, ge=1, le=3660, description="so many days, the last whose labels are complete, macro-F1 is of"
    )
    min_labels: int = Field(default=200, ge=1, description="labels, counted one by one, under which nothing is said")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.floor >= self.alert:
            raise ValueError(f"floor ({self.floor}) must be under alert ({self.alert})")
        return self


class ConceptPolicy(StrictModel):
    """Limits for the proof that a champion answers worse than it did when it was evaluated.

    Its rate of wrong answers is compared with the upper bound of the evaluation's rate plus `margin`: a rollout ignores
    a loss of two points, and so does this test. `alpha` is the probability of a false alarm over the champion's whole
    life, with a test at the end of each day, over all slices together, the error of the evaluation included. It assumes
    that days vary as they did in the evaluation (docs/decisions/0030-what-lasts-is-no-news.md).

    `rows_per_observation` is how many answers of a day are worth one: errors with a common cause, such as a storm, are
    not independent. If it is left out, the design effect of the evaluation's days applies, which is kept in the
    baseline of the version and grows with the traffic; without such days there is no test. Set it if you know a better
    value from more normal days: the variance of a day's number of wrong answers, divided by the variance that chance
    alone would give. Days are then taken to be independent.

    >>> ConceptPolicy(rows_per_observation=12).alpha
    0.05
    """

    alpha: float = Field(default=0.05, gt=0, lt=1, description="false alarms over a champion's whole life, all looks")
    margin: float = Field(default=0.02, ge=0, lt=1, description="loss of accuracy that is taken for none")
    rows_per_observation: float | None = Field(
        default=None, ge=1, le=1e6, description="answers of a day that are worth one; else as the baseline has it"
    )
    min_rows: float = Field(default=100, ge=1, description="independent rows under which nothing is said of a feature")

    def design_effect(self, part: str, estimated: Mapping[str, DesignEffect]) -> DesignEffect | None:
        """Return the design effect of wrong answers in a slice or "overall"; None where it is not known.

        >>> ConceptPolicy(rows_per_observation=12).design_effect("overall", {}).rows
        12.0
        """
        return (
            DesignEffect(self.rows_per_observation)
            if self.rows_per_observation is not None
            else estimated.get(wrong_answers(part))
        )


def wrong_answers(part: str) -> str:
    """Return the name of a slice's wrong answers among the design effects of a baseline: "wrong" for all rows."""
    return "wrong" if part == OVERALL else f"wrong {part}"


def beside(feature: str) -> str:
    """Return the name of the design effect of wrong answers of a feature's groups relative to one another."""
    return f"wrong beside {feature}"


class DriftPolicy(StrictModel):
    """Limits, window and design effects of the drift report.

    Rows that share a cause (all flights of a morning its weather, all orders of a campaign its discount) are worth
    fewer independent rows: how many of them are worth one is the design effect of survey statistics (L. Kish, Survey
    Sampling, 1965). It is estimated from the training set when a baseline is made, as the baseline's `design_effects`.
    `rows_per_observation` overrides the estimate: the mean number of rows that share one value, by feature, "score" and
    "label".

    `report_only` features are reported and decide nothing: name those that move with every season and do no harm.

    >>> DriftPolicy(rows_per_observation={"visibility": 240}, report_only=("temperature",)).retrain
    0.25
    """

    window_hours: int = Field(default=24, ge=1, le=366 * 24, description="how far back a report looks")
    monitor: float = Field(default=0.10, gt=0, description="PSI from which a feature is watched")
    retrain: float = Field(default=0.25, gt=0, description="PSI over which it asks for retraining")
    ks: float = Field(default=0.10, gt=0, lt=1, description="distance D over which the scores are elevated")
    alpha: float = Field(default=0.01, gt=0, lt=1, description="how often chance alone may look like drift")
    bins: int = Field(default=10, ge=2, le=1000, description="groups of the PSI")
    # With 15 independent rows, a move of all rows to one of ten groups (a PSI of 2.4) is just over the noise.
    min_rows: float = Field(default=15, ge=1, description="independent rows under which nothing is said")
    rows_per_observation: dict[str, float] = Field(
        default_factory=dict, description="rows per independent observation; else as estimated"
    )
    report_only: tuple[str, ...] = Field(default=(), description="features that are reported and decide nothing")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.monitor >= self.retrain:
            raise ValueError(f"monitor ({self.monitor}) must be under retrain ({self.retrain})")
        too_small = {name: rows for name, rows in self.rows_per_observation.items() if rows < 1}
        if too_small:
            raise ValueError(f"a value is shared by at least one row, got {too_small}")
        return self

    def check_names(self, features: Collection[str]) -> None:
        """Raise InvalidInputError for a name that is not a feature of the model: the setting would have no effect.

        >>> DriftPolicy(report_only=("temprature",)).check_names(["temperature"])
        Traceback (most recent call last):
            ...
        mlops_dagster.errors.InvalidInputError: drift.report_only names 'temprature', and the features are: temperature
        """
        known = {*features, "score", "label"}
        for key, names in (("report_only", self.report_only), ("rows_per_observation", self.rows_per_observation)):
            for name in names:
                if name not in known:
                    raise InvalidInputError(f"drift.{key} names {name!r}, and the features are: {', '.join(features)}")

    def design_effect(self, name: str, estimated: Mapping[str, DesignEffect]) -> DesignEffect:
        """Return the design effect of a feature's rows, from the policy, else from the baseline, else 1."""
        if name in self.rows_per_observation:
            return DesignEffect(self.rows_per_observation[name])
        return estimated.get(name, INDEPENDENT)

    def level_of(self, independent: float) -> float:
        """Return the share of `alpha` at which so many independent rows are tested: under 200 rows less, by the square.

        The chi-squared behind the noise is too small for few rows: measured over 10 groups, chance exceeds it 1.4 to
        1.9 times too often with 200 rows, 2 to 4 times with 100. This corrects it (tests/monitoring/test_few_rows).

        >>> DriftPolicy().level_of(100), DriftPolicy().level_of(900)
        (0.25, 1.0)
        """
        return min(independent / _ROWS_OF_CHI_SQUARED, 1.0) ** 2

    def against_limits(self, moved: float) -> Verdict:
        """Return the verdict on a PSI that chance does not explain.

        >>> DriftPolicy().against_limits(0.1)
        <Verdict.MONITOR: 'monitor'>
        """
        if moved > self.retrain:
            return Verdict.RETRAIN
        return Verdict.MONITOR if moved >= self.monitor else Verdict.STABLE
