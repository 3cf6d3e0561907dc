"""Reads and writes of rows, each inside a transaction of the caller."""

import json
from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, delete, insert, select

from mlops_dagster.clock import parse_time, time_text
from mlops_dagster.documents.json_text import json_text
from mlops_dagster.documents.readable import readable, reading_row
from mlops_dagster.errors import ModelNotFoundError, VersionNotFoundError
from mlops_dagster.registry.entities.entities import Acknowledgement, Deployment, Event, EventKind, ModelVersion
from mlops_dagster.registry.entities.stages import Stage
from mlops_dagster.registry.operations.lineage import digests_of
from mlops_dagster.registry.stores import queries
from mlops_dagster.registry.stores.chain import GENESIS
from mlops_dagster.registry.stores.event_time import EventTimes
from mlops_dagster.registry.stores.rows import (
    Record,
    deployment_of,
    deployment_row,
    event_of,
    version_of,
)
from mlops_dagster.registry.stores.tables import (
    acknowledgements,
    catalogues,
    cleanings,
    deployments,
    events,
    versions,
    workers,
)


class EventKey(NamedTuple):
    """The id of an event, with the model and version that it is about."""

    id: int
    model: str
    version: str | None


def model_names(connection: Connection) -> list[str]:
    return list(connection.scalars(select(deployments.c.model).order_by(deployments.c.model)))


def model_versions(connection: Connection, model: str) -> list[ModelVersion]:
    """Return every version that can be read, in order of registration."""
    rows = connection.execute(queries.VERSIONS, {"of_model": model})
    names = tuple(rows.keys())
    return readable((dict(zip(names, row, strict=True)) for row in rows), version_of)


def version_names(connection: Connection, model: str) -> list[str]:
    return list(connection.scalars(queries.VERSION_NAMES, {"of_model": model}))


def find_version(connection: Connection, model: str, version: str) -> ModelVersion | None:
    row = connection.execute(queries.VERSION, {"of_model": model, "of_version": version}).first()
    return None if row is None else version_of(row._asdict())


def read_version(connection: Connection, model: str, version: str) -> ModelVersion:
    """Return the version; raises ModelNotFoundError or VersionNotFoundError."""
    found = find_version(connection, model, version)
    if found is None:
        raise _version_not_found(connection, model, version)
    return found


def read_stage(connection: Connection, model: str, version: str) -> Stage:
    """Return the stage of the version; raises ModelNotFoundError or VersionNotFoundError."""
    found = stages(connection, model, [version]).get(version)
    if found is None:
        raise _version_not_found(connection, model, version)
    return found


def stages(connection: Connection, model: str, names: Collection[str]) -> dict[str, Stage]:
    """Return the stages of these versions by name; a version that does not exist is left out."""
    rows = connection.execute(queries.STAGES, {"of_model": model, "names": list(names)})
    return {row.version: Stage(row.stage) for row in rows}


def _version_not_found(connection: Connection, model: str, version: str) -> VersionNotFoundError:
    read_deployment(connection, model)
    newest = ", ".join(version_names(connection, model)[-5:])
    return VersionNotFoundError(f"{model} has no version {version!r}; the newest are {newest}")


def find_champion(connection: Connection, model: str) -> ModelVersion | None:
    """Return the champion of `model` in one query; None if the deployment has none."""
    row = connection.execute(queries.CHAMPION, {"of_model": model}).first()
    return None if row is None else version_of(row._asdict())


def named_digests(connection: Connection) -> set[str]:
    """Return every digest that a version of any stage needs; raises UnreadableError, so that none is left out."""
    found: set[str] = set()
    for row in connection.execute(select(versions.c.digest, versions.c.lineage).distinct()):
        with reading_row(f"the lineage of the version with the digest {row.digest}"):
            found |= set(digests_of(row.digest, json.loads(row.lineage)))
    return found


def insert_version(connection: Connection, row: Record) -> None:
    connection.execute(queries.INSERT_VERSION, row)


def set_card(connection: Connection, row: Record) -> None:
    key = {"of_model": row["model"], "of_version": row["version"]}
    connection.execute(queries.UPDATE_VERSION, {**key, "card": row["card"]})


def move_version(
    connection: Connection, model: str, version: str, to: Stage, reason: str, rolled_back: bool | None
) -> None:
    """Set stage and reason of the version, and `rolled_back` unless it is None."""
    changed = {} if rolled_back is None else {"rolled_back": rolled_back}
    key = {"of_model": model, "of_version": version}
    connection.execute(queries.UPDATE_VERSION, {**key, "stage": to.value, "reason": reason, **changed})


def rolled_back(connection: Connection, model: str) -> set[str]:
    return set(connection.scalars(queries.ROLLED_BACK, {"of_model": model}))


def rolled_back_twins(connection: Connection, version: ModelVersion) -> list[ModelVersion]:
    """Return the other versions of the model that have the same bytes and were rolled back, the latest first."""
    key = {"of_model": version.model, "of_digest": version.digest, "but_version": version.version}
    return [version_of(row._asdict()) for row in connection.execute(queries.ROLLED_BACK_TWINS, key)]


def read_deployment(connection: Connection, model: str) -> Deployment:
    """Return the deployment of `model`; raises ModelNotFoundError."""
    found = find_deployment(connection, model)
    if found is None:
        raise ModelNotFoundError(f"no model {model!r}; `mlops models list` shows what there is")
    return found


def find_deployment(connection: Connection, model: str) -> Deployment | None:
    row = connection.execute(queries.DEPLOYMENT, {"of_model": model}).first()
    return None if row is None else deployment_of(row._asdict())


def insert_deployment(connection: Connection, entry: Deployment) -> None:
    connection.execute(queries.INSERT_DEPLOYMENT, deployment_row(entry))


def save_deployment(connection: Connection, entry: Deployment) -> None:
    connection.execute(queries.UPDATE_DEPLOYMENT, {**deployment_row(entry), "of_model": entry.model})


def history(connection: Connection, model: str) -> list[Event]:
    """Return every event of the model that can be read, oldest first."""
    rows = connection.execute(select(events).where(events.c.model == model).order_by(events.c.id))
    return readable(rows, lambda row: event_of(row._asdict()))


def next_events(connection: Connection, event: int, limit: int) -> list[Event]:
    """Return the next `limit` events of all models after the id `event`, by id, without those that cannot be read."""
    rows = connection.execute(select(events).where(events.c.id > event).order_by(events.c.id).limit(limit))
    return readable(rows, lambda row: event_of(row._asdict()))


def last_event(connection: Connection, model: str, until: datetime) -> Event | None:
    row = connection.execute(queries.LAST_EVENT_UNTIL, {"of_model": model, "until": time_text(until)}).first()
    return None if row is None else event_of(row._asdict())


def last_times(connection: Connection, model: str) -> EventTimes | None:
    """Return the times of the model's last event; None before there is one."""
    row = connection.execute(queries.LAST_TIMES, {"of_model": model}).first()
    return None if row is None else EventTimes(parse_time(row.at), parse_time(row.recorded_at))


def last_of_kinds(
    connection: Connection, model: str, kinds: Sequence[EventKind], version: str | None = None
) -> Event | None:
    """Return the latest event of these kinds, of `version` only if it is given; None if there is none."""
    query = queries.LAST_OF_KINDS if version is None else queries.LAST_OF_KINDS_OF_VERSION
    key = {"of_model": model, "kinds": kinds} | ({} if version is None else {"of_version": version})
    row = connection.execute(query, key).first()
    return None if row is None else event_of(row._asdict())


def last_review(connection: Connection, model: str, version: str) -> Event | None:
    """Return the latest event about approval of the version, or about its card; None if there is none."""
    return last_of_kinds(connection, model, ("approval_requested", "approved", "rejected", "card"), version)


def last_policies(connection: Connection, model: str, until: datetime | None = None) -> Event | None:
    """Return the latest event that published policies of the model, up to `until` if it is given; None if none."""
    if until is None:
        return last_of_kinds(connection, model, ("policies",))
    key = {"of_model": model, "kinds": ("policies",), "until": time_text(until)}
    row = connection.execute(queries.LAST_OF_KINDS_UNTIL, key).first()
    return None if row is None else event_of(row._asdict())


def champions(connection: Connection, model: str) -> list[str]:
    """Return every version that became champion, the latest first."""
    return [name for name in connection.scalars(queries.CHAMPIONS, {"of_model": model}) if name is not None]


def head(connection: Connection) -> tuple[int, str]:
    """Return id and hash of the last event; id 0 and `GENESIS` before there is one."""
    row = connection.execute(queries.HEAD).first()
    return (0, GENESIS) if row is None else (row.id, row.hash)


def event_rows(connection: Connection) -> Iterator[Record]:
    """Yield every event's row unchanged, by id."""
    for row in connection.execute(select(events).order_by(events.c.id)):
        yield row._asdict()


def events_after(connection: Connection, event: int, limit: int) -> list[EventKey]:
    """Return the keys of the next `limit` events after the id `event`, by id."""
    query = select(events.c.id, events.c.model, events.c.version).where(events.c.id > event)
    return [EventKey(*row) for row in connection.execute(query.order_by(events.c.id).limit(limit))]


def catalogue_cursor(connection: Connection, address: str) -> int:
    """Return the id of the last event that the MLflow server at `address` was sent; 0 for a new server."""
    return connection.scalar(select(catalogues.c.event).where(catalogues.c.address == address)) or 0


def move_catalogue_cursor(connection: Connection, address: str, event: int) -> None:
    connection.execute(delete(catalogues).where(catalogues.c.address == address))
    connection.execute(insert(catalogues).values(address=address, event=event))


def last_cleaning(connection: Connection) -> int:
    """Return the id of the last removal of orphans, which grows with each; 0 before there is one."""
    return connection.scalar(queries.LAST_CLEANING) or 0


def record_cleaning(connection: Connection, actor: str, at: datetime, removed: Sequence[str]) -> None:
    connection.execute(insert(cleanings).values(actor=actor, at=time_text(at), removed=json_text(list(removed))))


def version_rows(connection: Connection) -> Iterator[Record]:
    """Yield the unchanged row of every version of every model."""
    for row in connection.execute(select(versions)):
        yield row._asdict()


def acknowledge(connection: Connection, model: str, entry: Acknowledgement) -> None:
    key = {"model": model, "process": entry.process, "epoch": entry.epoch}
    if connection.execute(select(acknowledgements).filter_by(**key)).first() is None:
        connection.execute(insert(acknowledgements).values({**key, "at": time_text(entry.at)}))


def acknowledged(connection: Connection, model: str) -> list[Acknowledgement]:
    table = acknowledgements
    rows = connection.execute(select(table).where(table.c.model == model).order_by(table.c.at))
    return [Acknowledgement(row.process, row.epoch, parse_time(row.at)) for row in rows]


def see_worker(connection: Connection, process: str, at: datetime, *, forget_before: datetime) -> None:
    """Keep that a worker is there; those not seen since `forget_before` are forgotten."""
    gone = (workers.c.process == process) | (workers.c.seen_at < time_text(forget_before))
    connection.execute(delete(workers).where(gone))
    connection.execute(insert(workers).values(process=process, seen_at=time_text(at)))


def remove_worker(connection: Connection, process: str) -> None:
    connection.execute(delete(workers).where(workers.c.process == process))


def workers_seen(connection: Connection, since: datetime) -> set[str]:
    return set(connection.scalars(select(workers.c.process).where(workers.c.seen_at >= time_text(since))))
