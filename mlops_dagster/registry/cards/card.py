"""The card itself."""

from typing import Annotated

from pydantic import BeforeValidator

from mlops_dagster.documents.strict import StrictModel
from mlops_dagster.registry.cards.data import Provenance, Validation
from mlops_dagster.registry.cards.evaluation import OVERALL, REQUIRED_METRICS, EvaluationSlice
from mlops_dagster.registry.cards.fairness import FairnessAudit
from mlops_dagster.registry.cards.provable import Provable


def _several(audits: object) -> object:
    """Cards of earlier versions hold one audit, or null."""
    if audits is None:
        return ()
    return (audits,) if isinstance(audits, FairnessAudit | dict) else audits


class ModelCard(StrictModel):
    """Every part may come later; production asks that none is `missing()`.

    >>> ModelCard(intended_use="Ranks flights for the desk.", failure_modes=("storms",)).missing()
    ('provenance', 'evaluation', 'fairness')
    """

    provenance: Provenance | None = None
    evaluation: tuple[EvaluationSlice, ...] = ()
    intended_use: str = ""
    failure_modes: tuple[str, ...] = ()
    fairness: Annotated[tuple[FairnessAudit, ...], BeforeValidator(_several)] = ()
    """One for each attribute; a single one is taken too."""
    contacts: tuple[str, ...] = ()
    validation: Validation | None = None
    shared_days: str = ""
    """What days that share causes make of a comparison with the champion, in one sentence; empty without a champion."""
    regimes: tuple[str, ...] = ()
    """The columns that changed within the training set, and what drift makes of it, a sentence each."""
    provable: Provable | None = None
    """What the daily checks can prove of it; None if nobody has computed that, which is no part that is missing."""

    @property
    def overall(self) -> EvaluationSlice | None:
        """The slice of all held-out rows."""
        return next((part for part in self.evaluation if part.name == OVERALL), None)

    def missing(self) -> tuple[str, ...]:
        """The promised parts that are absent or empty, e.g. `("evaluation.overall.macro_f1",)`.

        An audit of fairness that had too few rows to compare any two groups is missing: `"fairness.carrier"`.
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
        return [f"evaluation.{OVERALL}.{name}" for name in REQUIRED_METRICS if name not in self.overall.metrics]

    def _missing_fairness(self) -> list[str]:
        if not any(audit.groups for audit in self.fairness):
            return ["fairness"]
        return [f"fairness.{audit.attribute}" for audit in self.fairness if audit.max_gap is None]

    def to_markdown(self) -> str:
        """The card as people read it; absent parts say so. Whatever the texts hold is shown, not obeyed."""
        from mlops_dagster.registry.cards.markdown import to_markdown

        return to_markdown(self)
