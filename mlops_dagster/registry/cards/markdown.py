"""A model card as Markdown (CommonMark with tables)."""

from collections.abc import Sequence

from mlops_dagster.documents.markdown import escape, markdown_table
from mlops_dagster.registry.cards.card import ModelCard
from mlops_dagster.registry.cards.fairness import FairnessAudit
from mlops_dagster.registry.cards.wording import (
    Table,
    columns,
    data_lines,
    gap_lines,
    group_table,
    group_title,
    provable_lines,
    slice_table,
    slice_title,
    truth_table,
    worst_title,
    worst_truths,
)
from mlops_dagster.tasks import Task


def to_markdown(card: ModelCard) -> str:
    """Return a section for each part of the card, with "_absent_" in place of an absent part."""
    sections = {
        "Intended use": escape(card.intended_use),
        "Training data": _bullets((*data_lines(card.provenance, card.validation), *card.regimes)),
        "Evaluation": _evaluation(card),
        "What the daily checks can prove": _bullets(provable_lines(card.provable)),
        "Known failure modes": _bullets(card.failure_modes),
        "Fairness": "\n\n".join(_fairness(audit, card.kind) for audit in card.fairness),
        "Contacts": _bullets(card.contacts),
    }
    return "\n\n".join(f"## {title}\n\n{text or '_absent_'}" for title, text in sections.items()) + "\n"


def _evaluation(card: ModelCard) -> str:
    tables = [_table(slice_title(card.evaluation), slice_table(card.evaluation, card.kind.merit))]
    if card.overall is not None:
        tables.append(_table("true, by predicted", truth_table(card.overall)))
        tables.append(_table(worst_title(card.overall, card.kind), worst_truths(card.overall)))
    return "\n\n".join(filter(None, (*tables, escape(card.shared_days))))


def _fairness(audit: FairnessAudit, task: type[Task]) -> str:
    table = _table(group_title(audit), group_table(audit, task.merit))
    return "\n\n".join(filter(None, (_bullets(gap_lines(audit, task)), escape(audit.note), table)))


def _bullets(lines: Sequence[str]) -> str:
    return "\n".join(f"- {escape(line)}" for line in lines)


def _table(first: str, table: Table) -> str:
    if not table:
        return ""
    names = columns(table)
    return markdown_table([first, *names], [[name, *(cells.get(each, "") for each in names)] for name, cells in table])
