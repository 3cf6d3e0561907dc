"""The documents of the control room: the model card of a version, and a report."""

from collections.abc import Mapping
from datetime import datetime

import orjson
from markupsafe import Markup, escape

from mlops_dagster.dagster_pages import run_page
from mlops_dagster.errors import NotFoundError
from mlops_dagster.stores import Stores

_MOST_ROWS = 500


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
    """Return the report and the parts of its content: single values, tables, and the rest as JSON.

    Raises NotFoundError.
    """
    found = stores.reports.get(model, kind, start=start)
    if found is None:
        raise NotFoundError(f"there is no such report; `mlops reports list {model}` shows those that there are")
    values, tables, rest = parts(found.content)
    return {"report": found, "values": values, "tables": tables, "rest": rest}


def parts(
    content: Mapping[str, object],
) -> tuple[dict[str, object], dict[str, list[Mapping[str, object]]], dict[str, Markup]]:
    """Return the single values by name, the tables by name, and all other parts as JSON texts.

    Values of a mapping within are named by its name and theirs. A table is a list of mappings; its cells are single
    values, and what is no single value is left to the JSON of the whole.

    >>> parts({"rows": 7, "drift": {"psi": 0.1, "features": [{"name": "hour", "bins": [1, 2]}]}})[:2]
    ({'rows': 7, 'drift psi': 0.1}, {'drift features': [{'name': 'hour'}]})
    """
    values: dict[str, object] = {}
    tables: dict[str, list[Mapping[str, object]]] = {}
    rest: dict[str, Markup] = {}
    for name, value in content.items():
        if _is_single(value):
            values[name] = value
        elif isinstance(value, Mapping):
            inner = parts(value)
            values |= {f"{name} {key}": each for key, each in inner[0].items()}
            tables |= {f"{name} {key}": rows for key, rows in inner[1].items()}
            rest |= {f"{name} {key}": text for key, text in inner[2].items()}
        elif isinstance(value, list) and value and all(isinstance(row, Mapping) for row in value):
            tables[name] = [{key: cell for key, cell in row.items() if _is_single(cell)} for row in value[:_MOST_ROWS]]
        elif value:
            rest[name] = escape(orjson.dumps(value, option=orjson.OPT_INDENT_2).decode())
    return values, tables, rest


def _is_single(value: object) -> bool:
    return value is None or isinstance(value, str | int | float | bool)
