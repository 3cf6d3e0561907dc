"""Is the past still as it was written, and the present what the past led to?"""

from collections.abc import Mapping

from sqlalchemy import Connection

from mlops_dagster.errors import AuditError
from mlops_dagster.registry.chain import verify_chain
from mlops_dagster.registry.entities import AuditHead, Event, ModelVersion
from mlops_dagster.registry.stores import sql
from mlops_dagster.registry.stores.rows import fingerprint


def audit(connection: Connection, noted: Mapping[int, set[str]]) -> AuditHead:
    """The head of a sound chain; raises AuditError naming the first row that is not as it should be."""
    head = verify_chain(sql.event_rows(connection), noted)
    for model in sql.model_names(connection):
        history = sql.history(connection, model)
        _check_deployment(connection, model, history)
        for version in sql.model_versions(connection, model):
            _check_version(version, [event for event in history if event.version == version.version])
    return AuditHead(sql.head(connection)[0], head)


def _check_deployment(connection: Connection, model: str, history: list[Event]) -> None:
    told = history[-1].deployment if history else None
    found = sql.read_deployment(connection, model)
    if found != told:
        raise AuditError(
            f"the deployment of {model} was changed behind the registry: it is {found}, "
            f"but its last event left {told}; compare the database with a backup"
        )


def _check_version(version: ModelVersion, history: list[Event]) -> None:
    told: dict[str, object] = {}
    for event in history:
        told |= {name: event.evidence[name] for name in _TOLD_BY.get(event.kind, ())}
        if event.to_stage is not None:
            told["stage"] = event.to_stage
    for name, found in {**fingerprint(version), "stage": version.stage}.items():
        if told.get(name) != found:
            raise AuditError(
                f"the row of {version.model} {version.version} was changed behind the registry: its {name} is {found}, "
                f"but its events say {told.get(name)}; compare the database with a backup"
            )


_TOLD_BY: Mapping[str, tuple[str, ...]] = {"registered": ("digest", "content", "card"), "card": ("card",)}
