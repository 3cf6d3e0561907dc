"""The reference of stored tables: SQL from SQLAlchemy's metadata, the prediction log from its Arrow schemas."""

import importlib
import pkgutil
from collections.abc import Iterator

import pyarrow as pa
from sqlalchemy import MetaData, Table

import mlops_dagster
from docs.generate.markdown import code, table

_PARTS = ("alerting", "predictions", "registry", "reports", "retention", "rollout")


def page() -> str:
    """Return a section for each table of the database and of the log."""
    found = dict(_metadata())
    sql = [_sql(each) for owner in sorted(found) for each in found[owner].sorted_tables]
    from mlops_dagster.predictions.log import columns

    log = [
        _log(name.lower(), each)
        for name, each in vars(columns).items()
        if name.isupper() and isinstance(each, pa.Schema)
    ]
    return "\n".join(["## Database\n", *sql, "## Prediction log\n", *log])


def _metadata() -> Iterator[tuple[str, MetaData]]:
    """Yield every collection of SQL tables in the rooms that store something, with its module."""
    for part in _PARTS:
        package = importlib.import_module(f"{mlops_dagster.__name__}.{part}")
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not any(word in module.name for word in (".mlflow", ".artifacts", ".estimators", ".sources")):
                found = getattr(importlib.import_module(module.name), "TABLES", None)
                if isinstance(found, MetaData):
                    yield module.name, found


def _sql(found: Table) -> str:
    rows = [
        (
            code(column.name),
            code(column.type),
            ", ".join(filter(None, ["primary key" * column.primary_key, "null" * bool(column.nullable)])),
        )
        for column in found.columns
    ]
    return f"### `{found.name}`\n\n" + table(("column", "type", ""), rows)


def _log(name: str, schema: pa.Schema) -> str:
    rows = [(code(field.name), code(field.type)) for field in schema]
    return f"### `{name}`\n\n" + table(("column", "type"), rows)
