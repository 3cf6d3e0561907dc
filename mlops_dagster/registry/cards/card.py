"""The model card."""

from typing import Annotated

from pydantic import AfterValidator, BeforeValidator

from mlops_dagster.documents.strict import StrictModel
from mlops_dagster.registry.cards.data import Provenance, Validation
from mlops_dagster.registry.cards.evaluation import OVERALL, EvaluationSlice
from mlops_dagster.registry.cards.fairness import FairnessAudit
from mlops_dagster.registry.cards.provable import Provable
from mlops_dagster.tasks import DEFAULT_KIND, Task, task_of_kind


def _several(audits: object) -> object:
    """Return the audits as a tuple; who writes a card may give one audit, or null."""
    if audits is None:
        return ()
    return (audits,) if isinstance(audits, FairnessAudit | dict) else audits


def _known(kind: str) -> str:
    """Return the kind of a task; raises ValueError for an unknown one."""
    task_of_kind(kind)
    return kind


class ModelCard(StrictModel):
    """The model card of a version. Each part may be added later; production requires that none is `missing()`.

    >>> ModelCard(intended_use="Ranks flights for the desk.", failure_modes=("storms",)).missing()
    ('provenance', 'evaluation', 'fairness')
    """

    task: Annotated[str, AfterValidator(_known)] = DEFAULT_KIND
    """The kind of the model's task, which says what measures the evaluation must have."""
    provenance: Provenance | None = None
    evaluation: tuple[EvaluationSlice, ...] = ()
    intended_use: str = ""
    failure_modes: tuple[str, ...] = ()
    fairness: Annotated[tuple[FairnessAudit, ...], BeforeValidator(_several)] = ()
    """One audit for each attribute; a single audit is accepted too."""
    contacts: tuple[str, ...] = ()
    validation: Validation | None = None
    shared_days: str = ""
    """Effect of days that share causes on comparisons with the champion, as a sentence; empty without a champion."""
    regimes: tuple[str, ...] = ()
    """One sentence for each column that changed within the training set, with the consequence for drift."""
    provable: Provable | None = None
    """The losses that the daily checks can prove; None if not computed, which does not count as a missing part."""

    @property
    def kind(self) -> type[Task]:
        """The class of the model's task."""
        return task_of_kind(self.task)

    @property
    def overall(self) -> EvaluationSlice | None:
        """The slice of all held-out rows."""
        return next((part for part in self.evaluation if part.name == OVERALL), None)

    def missing(self) -> tuple[str, ...]:
        """Return the promised parts that are absent or empty, e.g. `("evaluation.overall.macro_f1",)`.

        An audit of fairness with too few rows to compare any two groups counts as missing: `"fairness.carrier"`.
        """
        absent = []
        if self.provenance is None:
            absent.append("provenance")
        absent.extend(self._missing_evaluation())
        if not self.intended_use.strip():
            absent.append("intended_use")
        if not any(mode.strip() for mode in self.failure_modes):
            absent.append("failure_modes")
        absent.extend(self._missing_fairness())
        return tuple(absent)

    def _missing_evaluation(self) -> list[str]:
        if not self.evaluation:
            return ["evaluation"]
        if self.overall is None:
            return [f"evaluation.{OVERALL}"]
        metrics = self.overall.metrics
        return [f"evaluation.{OVERALL}.{name}" for name in self.kind.required if name not in metrics]

    def _missing_fairness(self) -> list[str]:
        if not any(audit.groups for audit in self.fairness):
            return ["fairness"]
        return [f"fairness.{audit.attribute}" for audit in self.fairness if audit.max_gap is None]

    def to_markdown(self) -> str:
        """Return the card as Markdown; absent parts are marked. All texts are escaped."""
        from mlops_dagster.registry.cards.markdown import to_markdown

        return to_markdown(self)
