"""Metadata for Dagster's UI: tables shown at once, long Markdown and JSON behind a click, in a fixed order."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import dagster as dg

Metadata: TypeAlias = dict[str, Any]
"""The metadata of an asset or a check; Dagster has no public name for the type of its values."""

Cell: TypeAlias = str | int | float | None

MOST_ROWS = 30
"""The number of rows of a table at most: a longer one hides the entries below it; callers put the worst first."""


def table(rows: Sequence[Mapping[str, Cell]]) -> dg.MetadataValue:
    """Return the first rows as a table with the columns of the first row; without rows, the text "none".

    >>> table([{"feature": "temp", "PSI": 0.41237}]).records[0].data
    {'feature': 'temp', 'PSI': 0.4124}
    """
    if not rows:
        return dg.MetadataValue.text("none")
    records = [dg.TableRecord({name: _shown(cell) for name, cell in row.items()}) for row in rows[:MOST_ROWS]]
    # Every column is declared as text: numbers stay numbers, and a column may have both.
    return dg.MetadataValue.table(records, schema=dg.TableSchema([dg.TableColumn(name) for name in rows[0]]))


def numbers_of(trigger: Mapping[str, str]) -> Metadata:
    """Return the numbers that triggered a retraining, a row for each; nothing if there are none."""
    rows = [{"number": name, "value": value} for name, value in trigger.items()]
    return {"trigger_numbers": table(rows)} if rows else {}


def in_order(metadata: Mapping[str, object]) -> Metadata:
    """Return the same entries in order: texts first, then tables, numbers, links and pages, last data for programs.

    >>> list(in_order({"psi": {"temp": 0.4}, "rows": 9, "reason": "temp has moved"}))
    ['reason', 'rows', 'psi']
    """
    return dict(sorted(metadata.items(), key=lambda entry: _rank(entry[1])))


def for_programs(metadata: Mapping[str, object]) -> Metadata:
    """Return the same entries with texts as JSON: sensors read them unchanged, and the UI shows them last.

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
