"""The sentences of a card, before Markdown or HTML escapes them."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TypeAlias

from mlops_dagster.registry.cards.data import Provenance, Validation
from mlops_dagster.registry.cards.evaluation import OVERALL, EvaluationSlice
from mlops_dagster.registry.cards.fairness import FairnessAudit
from mlops_dagster.registry.cards.provable import Provable
from mlops_dagster.tasks import Task

Table: TypeAlias = list[tuple[str, Mapping[str, str]]]
"""Lines, each with its name and its cells by column."""

MOST_TRUTHS = 30
"""The largest number of truths in a table or plot of predictions by truth."""
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


def gap_lines(audit: FairnessAudit, task: type[Task]) -> list[str]:
    """Return a line for each gap, with the groups that it leaves out."""
    if audit.max_gap is None:
        few = f"fewer than two have {audit.min_group_rows} rows"
        return [f"Too few rows to compare the groups of {audit.attribute}: {few}."]
    gaps = {task.merit: audit.max_gap, **audit.gaps}
    headings = task.gap_headings
    lines = [_gap_line(audit, name, headings.get(name, name), gap) for name, gap in gaps.items()]
    lines += [f"Too few rows to compare {headings.get(name, name)}." for name in audit.left_out if name not in gaps]
    if audit.positive is not None:
        lines.append(f"Rates are those of the {task.truth_noun} {audit.positive}.")
    return lines


def _gap_line(audit: FairnessAudit, name: str, heading: str, gap: float) -> str:
    line = f"Widest gap in {heading} between groups of {audit.attribute}: {gap:.4f}."
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


def slice_table(slices: Sequence[EvaluationSlice], merit: str) -> Table:
    """Return a line for each slice; of more than `MOST_LINES`, all rows and those with surely the least merit."""
    shown = list(slices)
    if len(shown) > MOST_LINES:
        shown = sorted(shown, key=lambda part: (part.name != OVERALL, _at_most(part, merit)))[:MOST_LINES]
    return [(part.name, scores(part)) for part in shown]


def slice_title(slices: Sequence[EvaluationSlice]) -> str:
    """Return the head of the first column of `slice_table`; it says if only the worst slices are shown."""
    return "slice" if len(slices) <= MOST_LINES else f"slice, the worst {MOST_LINES} of {len(slices):,}"


def group_table(audit: FairnessAudit, merit: str) -> Table:
    """Return a line for each group; of more than `MOST_LINES`, those of least merit that have enough rows."""
    shown = list(audit.groups.items())
    if len(shown) > MOST_LINES:
        few = set(audit.left_out.get(merit, ()))
        shown = sorted(shown, key=lambda group: (group[0] in few, group[1].get(merit, 0.0)))[:MOST_LINES]
    return [
        (group, {name: f"{value:,.0f}" if name == "rows" else f"{value:.4g}" for name, value in metrics.items()})
        for group, metrics in shown
    ]


def group_title(audit: FairnessAudit) -> str:
    """Return the head of the first column of `group_table`; it says if only the worst groups are shown."""
    groups = len(audit.groups)
    return audit.attribute if groups <= MOST_LINES else f"{audit.attribute}, the worst {MOST_LINES} of {groups:,}"


def _at_most(part: EvaluationSlice, merit: str) -> float:
    """Return the upper bound of a slice's merit, so that a slice of few rows is not the worst by chance.

    Without an interval it is the merit; 1 if that is not known either.
    """
    known = part.metrics.get(merit, 1.0)
    return part.intervals.get(merit, (known, known))[1]


def truth_table(part: EvaluationSlice) -> Table:
    """Return a line for each truth with the count of each prediction; empty without counts, and over `MOST_TRUTHS`."""
    names = labels(part)
    if len(names) > MOST_TRUTHS:
        return []
    return [(truth, {said: f"{part.counts.get(truth, {}).get(said, 0):,}" for said in names}) for truth in names]


def worst_truths(part: EvaluationSlice) -> Table:
    """Return the 20 truths with the most wrong answers, in place of a table too large to read.

    Empty if all truths fit into `truth_table`.
    """
    if len(labels(part)) <= MOST_TRUTHS:
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


def worst_title(part: EvaluationSlice, task: type[Task]) -> str:
    """Return the head of the first column of `worst_truths`."""
    return f"true {task.truth_noun}, the worst {len(worst_truths(part))} of {len(labels(part)):,}"


def columns(table: Table) -> list[str]:
    """Return the columns that any line has, in order of appearance."""
    return list(dict.fromkeys(name for _, line in table for name in line))


def labels(part: EvaluationSlice) -> list[str]:
    """Return the texts that were true or predicted, sorted."""
    return sorted({*part.counts, *(said for row in part.counts.values() for said in row)})


def _day(time: datetime) -> str:
    return time.date().isoformat()
