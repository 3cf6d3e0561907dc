"""The documents of the control room: the model card of a version, and a report."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import orjson
from markupsafe import Markup, escape

from mlops_dagster.errors import NotFoundError
from mlops_dagster.links.dagster import asset_page, run_page
from mlops_dagster.loop.judging.findings import DRIFT
from mlops_dagster.stores import Stores

_MOST_ROWS = 500
_NAMES = ("name", "feature", "slice", "verdict")


def card_page(stores: Stores, model: str, version: str) -> str:
    """Return the model card as HTML. Raises NotFoundError; MissingExtraError without matplotlib."""
    from mlops_dagster.registry import to_html

    found = stores.registry.get(model, version)
    if found.card is None:
        raise NotFoundError(f"{model} {version} has no card; `attach_card` of the SDK gives it one")
    dagster, run = stores.settings.dagster_url, found.lineage.get("dagster_run")
    page = run_page(dagster, run) if dagster and run else None
    return to_html(found.card, title=f"{found.model} {found.version}", baseline=found.baseline, run=page)


def report_page(stores: Stores, model: str, kind: str, start: datetime) -> dict[str, object]:
    """Return the report, the parts of its content, and the page that links what was drawn of it. Raises NotFoundError.

    The pages of Evidently and whylogs are programs made of served rows: they are opened from Dagster, not from here.
    """
    found = stores.reports.get(model, kind, start=start)
    if found is None:
        raise NotFoundError(f"there is no such report; `mlops reports list {model}` shows those that there are")
    dagster, partition = stores.settings.dagster_url, f"{start:%Y-%m-%d-%H:%M}"
    drawn = asset_page(dagster, model, "drift_report", partition) if dagster and kind == DRIFT.name else None
    return {"report": found, "parts": list(parts(found.content)), "drawn": drawn}


@dataclass(frozen=True)
class Part:
    """A part of a report's content: single values, a table, or anything else as JSON."""

    name: str
    """The names of the mappings that it lies in, and its own; empty for the values of the report itself."""
    values: Mapping[str, object] = field(default_factory=dict)
    rows: Sequence[Mapping[str, object]] = ()
    json: Markup | None = None
    folded: bool = False
    """True if it lies so deep that it is shown on request only."""


def parts(content: Mapping[str, object], name: str = "", depth: int = 0) -> Iterator[Part]:
    """Yield the parts of a content: its single values, and then its tables and mappings in their order.

    A table is a list of mappings. Of its cells those are shown that are single values, and of its rows the first 500.

    >>> found = parts({"rows": 7, "drift": {"psi": 0.1, "features": [{"psi": 0.1, "name": "hour", "bins": [1, 2]}]}})
    >>> [(part.name, part.values, part.rows) for part in found]
    [('', {'rows': 7}, ()), ('drift', {'psi': 0.1}, ()), ('drift features', {}, [{'name': 'hour', 'psi': 0.1}])]
    """
    values = {key: shown for key, value in content.items() if (shown := _value(value)) not in ("", None)}
    if values:
        yield Part(name, values=values, folded=depth > 2)
    for key, value in content.items():
        inner = f"{name} {key}".strip()
        if isinstance(value, Mapping):
            yield from parts(value, inner, depth + 1)
        elif isinstance(value, list) and value and all(isinstance(row, Mapping) for row in value):
            yield Part(inner, rows=[_cells(row) for row in value[:_MOST_ROWS]])
        elif value and _value(value) is None:
            yield Part(inner, json=escape(orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()), folded=True)


def _cells(row: Mapping[str, object]) -> dict[str, object]:
    """Return the single values of a row, its name first."""
    return {key: row[key] for key in sorted(row, key=lambda key: key not in _NAMES) if _is_single(row[key])}


def _value(value: object) -> object:
    """Return a single value, or a list of single values as a text; None for all else."""
    if isinstance(value, list) and all(map(_is_single, value)):
        return ", ".join(map(str, value))
    return value if _is_single(value) else None


def _is_single(value: object) -> bool:
    return value is None or isinstance(value, str | int | float | bool)
