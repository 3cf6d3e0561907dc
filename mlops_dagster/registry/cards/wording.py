"""The sentences of a card, before Markdown or HTML escapes them."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TypeAlias

from mlops_dagster.registry.cards.data import Provenance, Validation
from mlops_dagster.registry.cards.evaluation import OVERALL, EvaluationSlice
from mlops_dagster.registry.cards.fairness import ACCURACY, DEMOGRAPHIC_PARITY, EQUALIZED_ODDS, FairnessAudit
from mlops_dagster.registry.cards.provable import Provable

Table: TypeAlias = list[tuple[str, Mapping[str, str]]]
"""Lines, each with its name and its cells by column."""

GAPS = {
    ACCURACY: "accuracy",
    DEMOGRAPHIC_PARITY: "selection rate (demographic parity)",
    EQUALIZED_ODDS: "true or false positive rate (equalized odds)",
}
MOST_CLASSES = 30
"""The largest number of classes in a confusion table or plot."""
_WORST = 20
MOST_LINES = 40
"""So many slices or groups are read in one table; a card has all of them as JSON."""


def data_lines(data: Provenance | None, found: Validation | None) -> list[str]:
    """Return lines about the training data and its validation; empty if neither is known."""
    return [*_provenance_lines(data), *(["Not validated."] if data and not found else _validation_lines(found))]


def _provenance_lines(data: Provenance | None) -> list[str]:
    if data is None:
        return []
    period = f"{_day(data.start)} to {_day(data.end)}"
    return [f"{data.dataset}: {data.rows:,} rows, {period}", f"Digest: {data.digest}"]


def _validation_lines(found: Validation | None) -> list[str]:
    if found is None:
        return []
    verdict = "passed" if found.passed else "failed"
    held = f"Validated: {verdict}. {found.expectations} expectations of {found.suite} on {found.rows:,} rows."
    doubts = (f"In doubt: {doubt}" for doubt in found.doubts)
    return [held, *found.failures, *(f"Error: {error}" for error in found.errors), *doubts]


def provable_lines(found: Provable | None) -> Sequence[str]:
    """Return the sentences of `found`, or one that says that they are not known."""
    return found.lines if found is not None else ("Not known: the card was not made by a retraining.",)


def gap_lines(audit: FairnessAudit) -> list[str]:
    """Return a line for each gap, with the groups that it leaves out."""
    if audit.max_gap is None:
        few = f"fewer than two have {audit.min_group_rows} rows"
        return [f"Too few rows to compare the groups of {audit.attribute}: {few}."]
    gaps = {ACCURACY: audit.max_gap, **audit.gaps}
    lines = [_gap_line(audit, name, gap) for name, gap in gaps.items()]
    lines += [f"Too few rows to compare {GAPS.get(name, name)}." for name in audit.left_out if name not in gaps]
    if audit.positive is not None:
        lines.append(f"Rates are those of the class {audit.positive}.")
    return lines


def _gap_line(audit: FairnessAudit, name: str, gap: float) -> str:
    line = f"Widest gap in {GAPS.get(name, name)} between groups of {audit.attribute}: {gap:.4f}."
    left_out = audit.left_out.get(name)
    if not left_out:
        return line
    more = f" and {len(left_out) - _WORST:,} more" if len(left_out) > _WORST else ""
    return f"{line} Left out, with under {audit.min_group_rows} rows to judge: {', '.join(left_out[:_WORST])}{more}."


def scores(part: EvaluationSlice) -> dict[str, str]:
    """Return rows and metrics as texts, with intervals if known.

    >>> scores(EvaluationSlice(name="all", rows=40, metrics={"accuracy": 0.9}, intervals={"accuracy": (0.77, 0.96)}))
    {'rows': '40', 'accuracy': '0.9 (0.77–0.96)'}
    """
    cells = {"rows": f"{part.rows:,}"}
    for name, value in part.metrics.items():
        cells[name] = f"{value:.4g}"
        if name in part.intervals:
            low, high = part.intervals[name]
            cells[name] += f" ({low:.4g}–{high:.4g})"
    return cells


def slice_table(slices: Sequence[EvaluationSlice]) -> Table:
    """Return a line for each slice; of more than `MOST_LINES`, all rows and those surely the least accurate."""
    shown = list(slices)
    if len(shown) > MOST_LINES:
        shown = sorted(shown, key=lambda part: (part.name != OVERALL, _accuracy_at_most(part)))[:MOST_LINES]
    return [(part.name, scores(part)) for part in shown]


def slice_title(slices: Sequence[EvaluationSlice]) -> str:
    """Return the head of the first column of `slice_table`; it says if only the worst slices are shown."""
    return "slice" if len(slices) <= MOST_LINES else f"slice, the worst {MOST_LINES} of {len(slices):,}"


def group_table(audit: FairnessAudit) -> Table:
    """Return a line for each group; of more than `MOST_LINES`, the least accurate of those with enough rows."""
    shown = list(audit.groups.items())
    if len(shown) > MOST_LINES:
        few = set(audit.left_out.get(ACCURACY, ()))
        shown = sorted(shown, key=lambda group: (group[0] in few, group[1].get(ACCURACY, 0.0)))[:MOST_LINES]
    return [
        (group, {name: f"{value:,.0f}" if name == "rows" else f"{value:.4g}" for name, value in metrics.items()})
        for group, metrics in shown
    ]


def group_title(audit: FairnessAudit) -> str:
    """Return the head of the first column of `group_table`; it says if only the worst groups are shown."""
    groups = len(audit.groups)
    return audit.attribute if groups <= MOST_LINES else f"{audit.attribute}, the worst {MOST_LINES} of {groups:,}"


def _accuracy_at_most(part: EvaluationSlice) -> float:
    """Return the upper bound of a slice's accuracy, so that a slice of few rows is not the worst by chance.

    Without an interval it is the accuracy; 1 if that is not known either.
    """
    known = part.metrics.get(ACCURACY, 1.0)
    return part.intervals.get(ACCURACY, (known, known))[1]


def confusion_table(part: EvaluationSlice) -> Table:
    """Return a line for each true class with the count of each predicted class; empty above `MOST_CLASSES`."""
    names = labels(part)
    if len(names) > MOST_CLASSES:
        return []
    return [(truth, {said: f"{part.counts.get(truth, {}).get(said, 0):,}" for said in names}) for truth in names]


def worst_classes(part: EvaluationSlice) -> Table:
    """Return the 20 true classes with the most wrong answers, in place of a confusion table too large to read.

    Empty if all classes fit into `confusion_table`.
    """
    if len(labels(part)) <= MOST_CLASSES:
        return []
    wrong = {
        truth: {said: count for said, count in row.items() if said != truth and count}
        for truth, row in part.counts.items()
    }
    worst = sorted(filter(wrong.get, wrong), key=lambda truth: (-sum(wrong[truth].values()), truth))[:_WORST]
    return [(truth, _errors(part.counts[truth], wrong[truth])) for truth in worst]


def _errors(row: Mapping[str, int], wrong: Mapping[str, int]) -> dict[str, str]:
    rows, errors = sum(row.values()), sum(wrong.values())
    often = sorted(wrong, key=lambda said: (-wrong[said], said))[:3]
    return {
        "rows": f"{rows:,}",
        "wrong": f"{errors:,} ({errors / rows:.1%})",
        "most often taken for": ", ".join(f"{said} ({wrong[said]:,})" for said in often),
    }


def worst_title(part: EvaluationSlice) -> str:
    """Return the head of the first column of `worst_classes`."""
    return f"true class, the worst {len(worst_classes(part))} of {len(labels(part)):,}"


def columns(table: Table) -> list[str]:
    """Return the columns that any line has, in order of appearance."""
    return list(dict.fromkeys(name for _, line in table for name in line))


def labels(part: EvaluationSlice) -> list[str]:
    """Return the classes that were true or predicted, sorted."""
    return sorted({*part.counts, *(said for row in part.counts.values() for said in row)})


def _day(time: datetime) -> str:
    return time.date().isoformat()
