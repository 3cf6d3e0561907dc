"""Entries as metadata of Dagster's UI: tables shown at once, Markdown and JSON behind a click, in a fixed order."""

import functools
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias
from urllib.parse import quote, urlsplit

import dagster as dg

from mlops_dagster.dagster_pages import asset_page, prefix_of
from mlops_dagster.loop.shown.checks import CheckResult
from mlops_dagster.loop.shown.entries import (
    AssetLink,
    Cell,
    Data,
    Entries,
    FileLink,
    Markdown,
    RunLink,
    Table,
    in_order,
)
from mlops_dagster.loop.spec import ModelSpec
from mlops_dagster.settings import Settings
from mlops_dagster.stores import Stores

Metadata: TypeAlias = dict[str, Any]
"""The metadata of an asset or a check; Dagster has no public name for the type of its values."""


def shown(entries: Entries) -> Metadata:
    """Return entries as metadata, in the order in which people look for them."""
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


def not_the_newest(context: dg.AssetExecutionContext, stores: Stores, spec: ModelSpec, last: str) -> Metadata:
    """Return a note for a report if a newer one exists already; `last` is the last partition of the run.

    Dagster's Overview of an asset shows the report that was made last: after catching up that is an old hour, and after
    late labels an old day.
    """
    key, partitions = context.asset_key, context.assets_def.partitions_def
    assert isinstance(partitions, dg.TimeWindowPartitionsDefinition)
    following = partitions.get_next_partition_window(partitions.time_window_for_partition_key(last).end)
    if following is None or following.end > stores.clock.now():
        return {}  # the usual run, without the query: for the hours of two years it takes 0.1 s
    newest = max(context.instance.get_materialized_partitions(key), default="")  # keys sort by time
    if last >= newest:
        return {}
    within = urlsplit(stores.settings.dagster_url or "").path  # Dagster may be served below a path
    return {
        "not_the_newest": f"made late or again; the newest one is of {newest}",
        "newest": dg.MetadataValue.url(asset_page(within, spec.model, key.path[-1], newest)),
    }


def _value(entry: object) -> object:
    match entry:
        case Table():
            return _table(entry.shown())
        case Markdown(text):
            return dg.MetadataValue.md(text)
        case FileLink(place, opens):  # browsers open no local file: its path is there to copy
            return dg.MetadataValue.url(place) if opens and "://" in place else dg.MetadataValue.path(place)
        case AssetLink(model, asset):
            return dg.MetadataValue.asset(dg.AssetKey([prefix_of(model), asset]))
        case RunLink(run):
            return dg.MetadataValue.dagster_run(run)
        case Data(value):
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


def control_room(spec: ModelSpec) -> Metadata:
    """Return the link of an asset to its model's page of the control room; empty without MLOPS_BOARD_URL."""
    board = _board()
    if board is None:
        return {}
    return {"control_room": dg.MetadataValue.url(f"{board}/models/{quote(spec.model, safe='')}")}


@functools.cache
def _board() -> str | None:
    """Return MLOPS_BOARD_URL; it is read once, as a code location may have thousands of assets."""
    return Settings().board_url
