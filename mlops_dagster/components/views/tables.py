"""Entries as metadata of Dagster's UI: tables shown at once, Markdown and JSON behind a click, in a fixed order."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import dagster as dg

from mlops_dagster.loop.shown.entries import MOST_ROWS, Cell, Data, Markdown, Table

Metadata: TypeAlias = dict[str, Any]
"""The metadata of an asset or a check; Dagster has no public name for the type of its values."""


def shown(entries: Mapping[str, object]) -> Metadata:
    """Return entries as metadata in order: texts first, then tables, numbers, links and pages, last data for programs.

    >>> list(shown({"psi": {"temp": 0.4}, "rows": 9, "reason": "temp has moved"}))
    ['reason', 'rows', 'psi']
    """
    values = {name: _value(entry) for name, entry in entries.items()}
    return dict(sorted(values.items(), key=lambda entry: _rank(entry[1])))


def _value(entry: object) -> object:
    match entry:
        case Table(rows):
            return _table(rows)
        case Markdown(text):
            return dg.MetadataValue.md(text)
        case Data(value):
            return dg.MetadataValue.json(value)  # type: ignore[arg-type]  # our entries have what JSON can hold
        case _:
            return entry


def _table(rows: Sequence[Mapping[str, Cell]]) -> dg.MetadataValue:
    """Return the first rows as a table with the columns of the first row; without rows, the text "none".

    >>> _table([{"feature": "temp", "PSI": 0.41237}]).records[0].data
    {'feature': 'temp', 'PSI': 0.4124}
    """
    if not rows:
        return dg.MetadataValue.text("none")
    records = [dg.TableRecord({name: _shown(cell) for name, cell in row.items()}) for row in rows[:MOST_ROWS]]
    # Every column is declared as text: numbers stay numbers, and a column may have both.
    return dg.MetadataValue.table(records, schema=dg.TableSchema([dg.TableColumn(name) for name in rows[0]]))


def _shown(cell: Cell) -> Cell:
    return float(f"{cell:.4g}") if isinstance(cell, float) else cell


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
