"""Updates of an MLflow server. The event log is the outbox, and each server has a cursor in it.

A change writes nothing extra for the server, and no update is lost while a server is away or new. A server is sent
the present state of the models that the events name, not the events: repeated or reordered updates do no harm.
"""

import logging
from collections.abc import Mapping, Sequence

from sqlalchemy import Engine

from mlops_dagster.database import reading, writing
from mlops_dagster.errors import ServerError, UnreadableError
from mlops_dagster.registry.address import public_address
from mlops_dagster.registry.mlflow.entry import entry_of
from mlops_dagster.registry.mlflow.server import MlflowServer
from mlops_dagster.registry.stores import sql

logger = logging.getLogger(__name__)

_BATCH = 100
"""Events between two moves of the cursor, so that a long backlog shrinks even if the time runs out."""


def deliver(engine: Engine, address: str, storage: str, seconds: float | None = None) -> int:
    """Bring the server at `address` up to the last event, and return the number of events that it lacked.

    Raises ServerError if it is away, or refuses something, or takes longer than `seconds`; its updates so far are kept.

    Any number of processes may deliver at once. A process that finds the cursor moved by another one may have
    overwritten newer facts with older ones, and sends the batch again with the current state: the last one to finish is
    right.
    """
    name = public_address(address)
    told = 0
    begin = None  # id of the event before a batch that must be sent again
    with MlflowServer(address, seconds) as server:
        while True:
            with reading(engine) as connection:
                cursor = sql.catalogue_cursor(connection, name)
                begin = cursor if begin is None else begin
                events = sql.events_after(connection, begin, cursor - begin + _BATCH)
            if not events:
                return told
            _show_all(engine, server, storage, events)
            with writing(engine) as connection:
                if sql.catalogue_cursor(connection, name) == cursor:
                    sql.move_catalogue_cursor(connection, name, events[-1].id)
                    told += events[-1].id - cursor
                    begin = None


def _show_all(engine: Engine, server: MlflowServer, storage: str, events: Sequence[sql.EventKey]) -> None:
    for model, versions in _by_model(events).items():
        try:
            _show(engine, server, storage, model, versions)
        except ServerError:
            # MLflow refuses one of two requests that make the same alias or tag at once. The second try finds it made.
            _show(engine, server, storage, model, versions)
        except UnreadableError as error:
            logger.error("MLflow gets no further changes of %s until its next event: %s", model, error)


def _by_model(events: Sequence[sql.EventKey]) -> Mapping[str, list[str]]:
    """Return the versions that the events of each model name, in order of the events."""
    affected: dict[str, dict[str, None]] = {}
    for event in events:
        versions = affected.setdefault(event.model, {})
        if event.version is not None:
            versions[event.version] = None
    return {model: list(versions) for model, versions in affected.items()}


def _show(engine: Engine, server: MlflowServer, storage: str, model: str, versions: list[str]) -> None:
    with reading(engine) as connection:
        if sql.find_deployment(connection, model) is None:
            return  # so far the model has policies, and no version
    aliases = server.aliases(model)
    if aliases is None:  # a new server, or one that was emptied: all of the model, in order
        server.create_model(model)
        aliases = {}
        with reading(engine) as connection:
            versions = sql.version_names(connection, model)
    for version in versions:
        _show_version(engine, server, storage, model, version)
    with reading(engine) as connection:
        deployment = sql.read_deployment(connection, model)
    for alias, holder in (("champion", deployment.champion), ("canary", deployment.canary)):
        if holder is None:
            if alias in aliases:
                server.delete_alias(model, alias)
        else:
            number = _show_version(engine, server, storage, model, holder)
            if aliases.get(alias) != number:
                server.set_alias(model, alias, number)


def _show_version(engine: Engine, server: MlflowServer, storage: str, model: str, version: str) -> int:
    with reading(engine) as connection:
        found = sql.read_version(connection, model, version)
    return server.show(entry_of(found, storage))
