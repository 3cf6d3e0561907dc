"""Model cards: what a version was made from, how well it does and for whom, and where it fails.

After Mitchell et al., "Model Cards for Model Reporting", FAT* 2019, arXiv:1810.03993.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, FiniteFloat

NonNegative = Annotated[int, Field(ge=0)]
Metrics = dict[str, FiniteFloat]

OVERALL = "overall"
REQUIRED_METRICS = ("micro_f1", "macro_f1", "accuracy")


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Provenance(_Part):
    """The training data."""

    dataset: str
    digest: str
    start: AwareDatetime
    end: AwareDatetime
    rows: NonNegative


class EvaluationSlice(_Part):
    """Scores on a part of the held-out rows; the part "overall" is all of them."""

    name: str
    rows: NonNegative
    metrics: Metrics


class FairnessAudit(_Part):
    """How far apart the groups of one attribute are: `max_gap` is the widest gap in accuracy, 0 to 1."""

    attribute: str
    groups: dict[str, Metrics]
    max_gap: Annotated[float, Field(ge=0, le=1)]
    note: str = ""


class ModelCard(_Part):
    """Every part may come later; production asks that none is `missing()`.

    >>> ModelCard(intended_use="Ranks flights for the desk.", failure_modes=("storms",)).missing()
    ('provenance', 'evaluation', 'fairness')
    """

    provenance: Provenance | None = None
    evaluation: tuple[EvaluationSlice, ...] = ()
    intended_use: str = ""
    failure_modes: tuple[str, ...] = ()
    fairness: FairnessAudit | None = None
    contacts: tuple[str, ...] = ()

    @property
    def overall(self) -> EvaluationSlice | None:
        """The slice of all held-out rows."""
        return next((part for part in self.evaluation if part.name == OVERALL), None)

    def missing(self) -> tuple[str, ...]:
        """The promised parts that are absent or empty, e.g. `("evaluation.overall.macro_f1",)`."""
        absent = []
        if self.provenance is None:
            absent.append("provenance")
        absent.extend(self._missing_evaluation())
        if not self.intended_use.strip():
            absent.append("intended_use")
        if not any(mode.strip() for mode in self.failure_modes):
            absent.append("failure_modes")
        if self.fairness is None or not self.fairness.groups:
            absent.append("fairness")
        return tuple(absent)

    def _missing_evaluation(self) -> list[str]:
        if not self.evaluation:
            return ["evaluation"]
        if self.overall is None:
            return [f"evaluation.{OVERALL}"]
        return [f"evaluation.{OVERALL}.{name}" for name in REQUIRED_METRICS if name not in self.overall.metrics]

    def to_markdown(self) -> str:
        """The card as people read it; absent parts say so."""
        sections = {
            "Intended use": self.intended_use.strip(),
            "Training data": _provenance(self.provenance),
            "Evaluation": _table("slice", {part.name: {"rows": part.rows, **part.metrics} for part in self.evaluation}),
            "Known failure modes": _bullets(self.failure_modes),
            "Fairness": _fairness(self.fairness),
            "Contacts": _bullets(self.contacts),
        }
        return "\n\n".join(f"## {title}\n\n{text or '_absent_'}" for title, text in sections.items()) + "\n"


def _bullets(lines: tuple[str, ...]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _provenance(data: Provenance | None) -> str:
    if data is None:
        return ""
    return f"{data.dataset}: {data.rows:,} rows, {_day(data.start)} to {_day(data.end)}, digest `{data.digest}`"


def _day(time: datetime) -> str:
    return time.date().isoformat()


def _fairness(audit: FairnessAudit | None) -> str:
    if audit is None:
        return ""
    gap = f"Widest gap in accuracy between groups of `{audit.attribute}`: {audit.max_gap:.4f}."
    return "\n\n".join(filter(None, (gap, audit.note, _table(audit.attribute, audit.groups))))


def _table(first: str, rows: Mapping[str, Mapping[str, float]]) -> str:
    if not rows:
        return ""
    columns = list(dict.fromkeys(column for row in rows.values() for column in row))
    lines = [_line([first, *columns]), _line(["---"] * (len(columns) + 1))]
    for name, row in rows.items():
        lines.append(_line([name, *(f"{row[column]:.6g}" if column in row else "" for column in columns)]))
    return "\n".join(lines)


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |"
