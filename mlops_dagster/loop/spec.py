"""The spec of a model, as a team writes it in `defs.yaml`."""

from collections.abc import Sequence
from contextlib import suppress
from typing import Annotated, Self, TypeAlias

from pydantic import AfterValidator, Field, model_validator

from mlops_dagster.alerting import AlertPolicy
from mlops_dagster.alerting.slo import SloPolicy
from mlops_dagster.documents.strict import StrictModel
from mlops_dagster.errors import InvalidSuiteError, ModelNotFoundError
from mlops_dagster.links.dagster import prefix_of
from mlops_dagster.monitoring import ConceptPolicy, DriftPolicy, PerformancePolicy, ValidationPolicy
from mlops_dagster.monitoring.validation.expectations.document import suite_document
from mlops_dagster.names import MODEL_PATTERN, OWNER_PATTERN, check_model_name
from mlops_dagster.registry import GatePolicy
from mlops_dagster.retention import RetentionPolicy
from mlops_dagster.retraining.policy import RetrainingPolicy
from mlops_dagster.rollout import RolloutPolicy
from mlops_dagster.rollout.prospects.prospects import Traffic

Text: TypeAlias = Annotated[str, Field(pattern=r"\S")]
"""A text that is not blank: with a blank one no version of the model would ever pass the gates."""

Owner: TypeAlias = Annotated[str, Field(pattern=OWNER_PATTERN)]
"""An owner in Dagster's format: an e-mail address, or "team:" and a name."""

Module: TypeAlias = Annotated[str, Field(pattern=r"^[^\W\d]\w*(\.[^\W\d]\w*)*$")]


_Checked = AfterValidator(check_model_name)


class TrainingSpec(StrictModel):
    """The rows on which a candidate is fitted and evaluated."""

    dataset: str = Field(description="description of the rows, for the model card")
    window_days: int = Field(default=60, ge=2, le=36_500, description="how far back the training set reaches")
    evaluation_days: int = Field(default=14, ge=1, description="the last days of it, held out to judge the candidate")

    @model_validator(mode="after")
    def _some_days_are_left_to_fit_on(self) -> Self:
        if self.evaluation_days >= self.window_days:
            raise ValueError(
                f"evaluation_days ({self.evaluation_days}) must be under window_days ({self.window_days}): "
                "the rows before them are fitted on"
            )
        return self


class CardSpec(StrictModel):
    """The parts of a model card that only people know."""

    intended_use: Text
    failure_modes: tuple[Text, ...] = Field(min_length=1)
    contacts: tuple[Text, ...]
    fairness_attribute: Text | tuple[Text, ...] = Field(
        min_length=1, description="the column of the training set whose groups are compared, or several"
    )
    fairness_note: str = Field(default="", description="meaning of the groups, and the acceptable gap")

    @property
    def fairness_attributes(self) -> tuple[str, ...]:
        """The fairness attributes, always as a tuple."""
        return (self.fairness_attribute,) if isinstance(self.fairness_attribute, str) else self.fairness_attribute


class ModelSpec(StrictModel):
    """One model: the module of its code, and the policies that govern its life."""

    model: Annotated[str, Field(pattern=f"^{MODEL_PATTERN}$", description="name in registry and URLs"), _Checked]
    trainer: Module = Field(description="dotted path of the module with SCHEMA, training_set and estimator")
    owners: tuple[Owner, ...] = Field(default=(), description="e-mail addresses or team:names")
    training: TrainingSpec
    card: CardSpec
    gates: GatePolicy = GatePolicy()
    validation: ValidationPolicy = ValidationPolicy()
    drift: DriftPolicy = DriftPolicy()
    performance: PerformancePolicy = PerformancePolicy()
    concept: ConceptPolicy = ConceptPolicy()
    rollout: RolloutPolicy = RolloutPolicy()
    slo: SloPolicy = SloPolicy()
    retraining: RetrainingPolicy = RetrainingPolicy()
    alerts: AlertPolicy = AlertPolicy()
    retention: RetentionPolicy = RetentionPolicy()
    traffic: Traffic | None = Field(
        default=None,
        description="the expected traffic; with it `dg check defs` says whether the rollout can prove anything",
    )
    batch_scores: bool = Field(default=False, description="days that `batch` of the trainer gives are scored as well")

    def policies(self) -> dict[str, object]:
        """Return all that governs the model's life as JSON by section, for the registry: all but code and card.

        The content of the suite is a section, since its path means nothing on another machine; None if it cannot be
        read any more, for which the next validation alerts.
        """
        sections = self.model_dump(mode="json", exclude={"model", "trainer", "card"})
        sections["guard"] = self.validation.guard_policy.model_dump(mode="json")
        file = self.validation.suite
        if file is not None:
            sections["validation"]["suite"] = file.name
            sections["suite"] = None
            with suppress(InvalidSuiteError):
                sections["suite"] = suite_document(file)
        return sections

    @property
    def prefix(self) -> str:
        """The first part of the keys of this model's assets."""
        return prefix_of(self.model)


def spec_of(specs: Sequence[ModelSpec], model: str) -> ModelSpec:
    """Return the spec of a model; raises ModelNotFoundError with the models that there are."""
    found = next((spec for spec in specs if spec.model == model), None)
    if found is None:
        there = ", ".join(sorted(spec.model for spec in specs)) or "none"
        raise ModelNotFoundError(f"this code location has no model {model!r}; there is {there}")
    return found
