"""The policy of a rollout: conditions for more traffic, and for its end."""

from collections.abc import Mapping
from datetime import timedelta
from itertools import pairwise
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from mlops_dagster.documents.strict import StrictModel

_RARE = 5
"""A stratum with a share below this many margins could lose a fifth of its right answers unnoticed."""

Share = Annotated[float, Field(gt=0, lt=1)]
Hours = Annotated[float, Field(ge=0, le=366 * 24)]
"""A year at most: a longer time is a mistake in the unit."""


class MaxRatios(StrictModel):
    """The largest ratios allowed of the challenger's rate of a bad event to the champion's."""

    error: float = Field(default=1.2, gt=1, le=1000)
    wrong: float = Field(default=1.2, gt=1, le=1000)
    slow: float = Field(default=2.0, gt=1, le=1000, description="higher than the others: a canary starts cold")


class RolloutPolicy(StrictModel):
    """The policy of one model's rollouts; the defaults are the promises of the platform.

    >>> RolloutPolicy(steps=(0.1, 0.5), soak_hours=12).uses_pairs
    True
    >>> RolloutPolicy(steps=(0.5, 0.1))
    Traceback (most recent call last):
    ...
    pydantic_core._pydantic_core.ValidationError: 1 validation error for RolloutPolicy
      Value error, steps must rise, got 0.5 before 0.1 ...
    """

    steps: tuple[Share, ...] = Field(
        default=(0.01, 0.05, 0.2, 0.5), min_length=1, description="shares of the traffic; promotion is the step to all"
    )
    shadow_hours: Hours = Field(default=1, description="least time in shadow")
    soak_hours: Hours = Field(default=4, description="least time at each step")
    min_canary_hours: Hours = Field(
        default=48, description="least time as canary before all traffic: whole days, or the time of day decides"
    )
    deadline_hours: Hours = Field(
        default=168, gt=0, description="from the start; then it is proven not worse, or given up"
    )
    at_deadline: Literal["promote_if_not_worse", "give_up"] = Field(
        default="promote_if_not_worse", description="give_up: only a version that is proven superior is promoted"
    )
    bake_hours: Hours = Field(
        default=24,
        description="how long the old champion goes on as a shadow after the promotion, to go back to; 0: not at all",
    )
    alpha: float = Field(default=0.05, gt=0, le=0.2, description="false alarms over a whole rollout, all looks")

    paired: bool = Field(default=True, description="compare the versions on requests that both scored")
    paired_share: float = Field(default=1.0, ge=0, le=1, description="share of the requests the other arm scores too")
    answer_influences_label: bool = Field(
        default=False, description="the answer given changes what happens then, so pairs prove nothing and are not used"
    )
    labels: Literal["all", "late", "sampled", "complaints"] = Field(
        default="all",
        description="how labels come: of all answers, soon; of all, `label_hours` later; of answers drawn at random, "
        "within `label_hours`; only of wrong answers that a person complains of",
    )
    label_hours: Hours | None = Field(
        default=None, gt=0, description="late, sampled: by when labels are there; answers older than that count"
    )
    min_label_share: float = Field(
        default=0.95,
        gt=0.5,
        le=1,
        description="share of the answers of a time whose label must be known before any of them is evidence",
    )
    rows_per_observation: float | None = Field(
        default=None,
        ge=1,
        le=1e6,
        description="so many rows that share a day's causes count as one where accuracy is compared; estimated when a "
        "version is trained and judged over days. To be stated for one that was not, or where more is known: 1 says "
        "that rows are independent",
    )
    loss: Literal["auto", "accuracy", "balanced"] = Field(
        default="auto",
        description="the measure compared: accuracy, or the mean of the classes' accuracies (balanced, which macro-F1 "
        "asks for). auto: where a class is rarer than five margins, both: a version is worse that is worse in either",
    )
    margin: float = Field(
        default=0.02,
        gt=0,
        lt=1,
        description="of that, so much a challenger may lose and still count as no worse",
    )
    max_ratio: MaxRatios = MaxRatios()
    max_error_rate: Share = Field(
        default=0.01, description="error rate that rolls back, whether or not the champion has it too"
    )
    max_slow_rate: Share = Field(
        default=0.01,
        description="share of slow answers that is acceptable even if the champion has fewer; never rolls back",
    )
    slow_ms: float = Field(default=200, gt=0, description="an answer that takes longer is slow")
    cold_start: int = Field(
        default=50, ge=0, description="so many slow answers of the canary, its first at the first step, never roll back"
    )

    min_shadow_requests: int = Field(default=50, ge=1, description="requests scored in shadow before the first step")
    min_step_requests: int = Field(default=100, ge=1, description="requests the canary answered, at each step")
    min_step_paired: int = Field(
        default=100, ge=1, description="pairs with a label at each step; without pairs, labels of the canary's answers"
    )

    @model_validator(mode="after")
    def _is_possible(self) -> Self:
        for low, high in pairwise(self.steps):
            if low >= high:
                raise ValueError(f"steps must rise, got {low} before {high}")
        if self.paired and self.paired_share == 0:
            raise ValueError("paired evidence needs paired_share over 0; or set paired: false")
        if self.min_canary_hours > 24 and self.min_canary_hours % 24:
            raise ValueError(
                f"min_canary_hours must be whole days, else the time of day decides; got {self.min_canary_hours}"
            )
        least = self.shadow_hours + max(self.min_canary_hours, self.soak_hours * len(self.steps))
        if least > self.deadline_hours:
            raise ValueError(
                f"shadow, soak and watch take {least:g} hours at least, after the deadline of {self.deadline_hours:g}; "
                "raise deadline_hours or shorten them"
            )
        return self

    @model_validator(mode="after")
    def _labels_can_prove_something(self) -> Self:
        if (self.labels in ("late", "sampled")) != (self.label_hours is not None):
            raise ValueError(
                "label_hours says how late labels come, which goes with `labels: late` or `sampled` and no other; "
                f"got labels: {self.labels} and label_hours: {self.label_hours}"
            )
        least = self.shadow_hours + len(self.steps) * max(self.soak_hours, self.label_hours or 0)
        if self.label_hours is not None and least >= self.deadline_hours:
            raise ValueError(
                f"each of {len(self.steps)} steps waits for its own labels, so with labels that come "
                f"{self.label_hours:g} hours late they take {least:g} hours with the shadow, and the deadline of "
                f"{self.deadline_hours:g} hours comes first; raise deadline_hours or take fewer steps"
            )
        if self.labels == "complaints" and self.paired:
            raise ValueError(
                "people complain only of the answer that they were given, so the errors of the other version stay "
                "unknown and pairs prove nothing; with `labels: complaints` set paired: false"
            )
        if self.loss == "balanced" and not self.uses_pairs:
            raise ValueError(
                "a balanced loss is compared on requests that both versions scored; it needs paired: true, and answers "
                "that do not influence the label"
            )
        return self

    @property
    def uses_pairs(self) -> bool:
        """True if losses are compared on pairs, False if between the two arms."""
        return self.paired and not self.answer_influences_label

    @property
    def label_delay(self) -> timedelta:
        """The age of answers from which they are judged by their labels."""
        return timedelta(hours=self.label_hours or 0)

    @property
    def rare_share(self) -> float:
        """The share of the labels below which a stratum is rarer than the margin allows."""
        return _RARE * self.margin

    def compares_strata(self, strata: Mapping[str, float]) -> bool:
        """Return whether the loss is balanced, given the shares of the strata among the labels."""
        shares = [share for share in strata.values() if share > 0]
        rare = bool(shares) and min(shares) < self.rare_share
        return self.loss == "balanced" or (self.loss == "auto" and rare)

    @property
    def shadow(self) -> timedelta:
        return timedelta(hours=self.shadow_hours)

    @property
    def soak(self) -> timedelta:
        return timedelta(hours=self.soak_hours)

    @property
    def min_watch(self) -> timedelta:
        return timedelta(hours=self.min_canary_hours)

    @property
    def watch(self) -> timedelta:
        return timedelta(hours=self.bake_hours)

    @property
    def deadline(self) -> timedelta:
        return timedelta(hours=self.deadline_hours)
