"""Entries as metadata of Dagster's UI: tables shown at once, Markdown and JSON behind a click, in a fixed order."""

from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg

from mlops_dagster.links.dagster import prefix_of
from mlops_dagster.loop.shown import entries as kinds
from mlops_dagster.loop.shown.checks import CheckResult
from mlops_dagster.loop.shown.entries import Cell, Entries, in_order


def shown(entries: Entries) -> dict[str, Any]:
    """Return entries as metadata of an asset or a check, in the order in which people look for them."""
    return {name: _value(entry) for name, entry in in_order(entries).items()}


def check_result(check: str, found: CheckResult) -> dg.AssetCheckResult:
    """Return the result of a check, as Dagster takes it from an asset or from the check itself."""
    return dg.AssetCheckResult(
        check_name=check,
        passed=found.passed,
        severity=dg.AssetCheckSeverity.ERROR if found.is_error else dg.AssetCheckSeverity.WARN,
        description=found.description,
        metadata=shown(found.entries),
    )


def _value(entry: object) -> object:
    match entry:
        case kinds.Table():
            return _table(entry.shown())
        case kinds.Markdown(text):
            return dg.MetadataValue.md(text)
        case kinds.FileLink(place, opens):  # browsers open no local file: its path is there to copy
            return dg.MetadataValue.url(place) if opens and "://" in place else dg.MetadataValue.path(place)
        case kinds.AssetLink(model, asset):
            return dg.MetadataValue.asset(dg.AssetKey([prefix_of(model), asset]))
        case kinds.PageLink(address):
            return dg.MetadataValue.url(address)
        case kinds.RunLink(run):
            return dg.MetadataValue.dagster_run(run)
        case kinds.Data(value):
            return dg.MetadataValue.json(value)  # type: ignore[arg-type]  # our entries have what JSON can hold
        case _:
            return entry


def _table(rows: Sequence[Mapping[str, Cell]]) -> dg.MetadataValue:
    """Return rows as a table with the columns of the first row; without rows, the text "none"."""
    if not rows:
        return dg.MetadataValue.text("none")
    # Every column is declared as text: numbers stay numbers, and a column may have both.
    schema = dg.TableSchema([dg.TableColumn(name) for name in rows[0]])
    return dg.MetadataValue.table([dg.TableRecord(row) for row in rows], schema=schema)
