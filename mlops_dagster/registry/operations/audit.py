"""The audit: compares all events with their hash chain, and all present rows with the events."""

from collections import defaultdict
from collections.abc import Iterable, Mapping

from sqlalchemy import Connection

from mlops_dagster.errors import AuditError
from mlops_dagster.registry.entities.entities import AuditHead, Event
from mlops_dagster.registry.entities.stages import Stage
from mlops_dagster.registry.stores import sql
from mlops_dagster.registry.stores.chain import verify_chain
from mlops_dagster.registry.stores.rows import event_of, fingerprint

Facts = Mapping[str, Mapping[str, object]]
"""The facts known of each deployment or version, by its name."""


def audit(connection: Connection, noted: Mapping[int, set[str]]) -> AuditHead:
    """Return the head of a sound chain; raises AuditError naming the first row that was changed, moved or removed."""
    rows = list(sql.event_rows(connection))
    head = verify_chain(rows, noted)
    _compare(_told([event_of(row) for row in rows]), _found(connection))
    return AuditHead(len(rows), head)


def _told(events: Iterable[Event]) -> Facts:
    facts: defaultdict[str, dict[str, object]] = defaultdict(dict)
    for event in events:
        if event.kind == "policies" and event.model not in facts:
            continue  # published before the first version: there is no deployment yet
        facts[event.model]["deployment"] = event.deployment
        version = facts[f"{event.model} {event.version}"]
        version |= {name: event.evidence[name] for name in _TOLD_BY.get(event.kind, ())}
        if event.to_stage is not None:
            version["stage"] = event.to_stage
        if event.kind in ("registered", "rollback") or event.to_stage is Stage.PRODUCTION:
            version["rolled_back"] = event.kind == "rollback"
    return facts


def _found(connection: Connection) -> Facts:
    facts: dict[str, dict[str, object]] = {}
    for model in sql.model_names(connection):
        facts[model] = {"deployment": sql.read_deployment(connection, model)}
    for row in sql.version_rows(connection):
        state = {"stage": row["stage"], "rolled_back": row["rolled_back"]}
        facts[f"{row['model']} {row['version']}"] = {**fingerprint(row), **state}
    return facts


def _compare(told: Facts, found: Facts) -> None:
    for name in sorted({*told, *found}):
        old, new = told.get(name, {}), found.get(name, {})
        for fact in sorted({*old, *new}):
            if old.get(fact) != new.get(fact):
                raise AuditError(
                    f"the row of {name} was changed behind the registry: its {fact} is {new.get(fact)}, "
                    f"but its events say {old.get(fact)}; compare the database with a backup"
                )


_TOLD_BY: Mapping[str, tuple[str, ...]] = {"registered": ("digest", "content", "card"), "card": ("card",)}
