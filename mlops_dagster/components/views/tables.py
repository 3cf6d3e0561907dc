"""Metadata as Dagster's UI shows it: tables at once, Markdown and JSON of some length behind a click, in our order."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import dagster as dg

Metadata: TypeAlias = dict[str, Any]
"""What an asset or a check says: Dagster has no public name for the values it takes."""

Cell: TypeAlias = str | int | float | None

MOST_ROWS = 30
"""A longer table hides what stands under it; callers put the worst first."""


def table(rows: Sequence[Mapping[str, Cell]]) -> dg.MetadataValue:
    """The first rows as a table, whose columns are those of the first row; a text where there is none.

    >>> table([{"feature": "temp", "PSI": 0.41237}]).records[0].data
    {'feature': 'temp', 'PSI': 0.4124}
    """
    if not rows:
        return dg.MetadataValue.text("none")
    records = [dg.TableRecord({name: _shown(cell) for name, cell in row.items()}) for row in rows[:MOST_ROWS]]
    # Every column is declared as text: numbers stay what they are, and a column may have both.
    return dg.MetadataValue.table(records, schema=dg.TableSchema([dg.TableColumn(name) for name in rows[0]]))


def numbers_of(trigger: Mapping[str, str]) -> Metadata:
    """What a retraining was triggered by, a row for each number; nothing where it was none."""
    rows = [{"number": name, "value": value} for name, value in trigger.items()]
    return {"trigger_numbers": table(rows)} if rows else {}


def in_order(metadata: Mapping[str, object]) -> Metadata:
    """The same entries: texts first, then tables, numbers, links and pages, and last what programs read.

    >>> list(in_order({"psi": {"temp": 0.4}, "rows": 9, "reason": "temp has moved"}))
    ['reason', 'rows', 'psi']
    """
    return dict(sorted(metadata.items(), key=lambda entry: _rank(entry[1])))


def for_programs(metadata: Mapping[str, object]) -> Metadata:
    """The same entries, texts among them as JSON: sensors read them as before, and people find them last.

    >>> for_programs({"floor": "fine", "macro_f1": 0.9})
    {'floor': JsonMetadataValue(data='fine'), 'macro_f1': 0.9}
    """
    return {name: dg.MetadataValue.json(value) if isinstance(value, str) else value for name, value in metadata.items()}


def _rank(value: object) -> int:
    ranks: list[type | tuple[type, ...]] = [
        (str, dg.TextMetadataValue),
        dg.TableMetadataValue,
        (int, float),
        (
            dg.UrlMetadataValue,
            dg.PathMetadataValue,
            dg.DagsterAssetMetadataValue,
            dg.DagsterRunMetadataValue,
            dg.MarkdownMetadataValue,
        ),
    ]
    return next((rank for rank, types in enumerate(ranks) if isinstance(value, types)), len(ranks))


def _shown(cell: Cell) -> Cell:
    return float(f"{cell:.4g}") if isinstance(cell, float) else cell
