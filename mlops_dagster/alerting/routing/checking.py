"""The check of the file of channels before a server starts, while its operator reads the errors."""

import logging
from collections.abc import Collection, Mapping
from pathlib import Path

from sqlalchemy import Connection, select

from mlops_dagster.alerting.channels.opening import open_channel
from mlops_dagster.alerting.delivery.entry import Entry, State, entry_of
from mlops_dagster.alerting.delivery.places import left_open
from mlops_dagster.alerting.delivery.tables import outbox
from mlops_dagster.alerting.life.tables import IS_OPEN, alerts
from mlops_dagster.alerting.routing.channels_file import read_channels
from mlops_dagster.clock import SystemClock
from mlops_dagster.database import migrate, open_database, reading
from mlops_dagster.documents.readable import readable
from mlops_dagster.errors import InvalidPolicyError, StorageError

logger = logging.getLogger(__name__)


def check_channels(file: Path, database: str) -> None:
    """Raise InvalidPolicyError unless each channel can be opened, and those with open alerts are as they were.

    Raises MissingExtraError too. A database that is away is no reason not to start.
    """
    places = {}
    for name, spec in read_channels(file).channels.items():
        opened = open_channel(name, spec, SystemClock())
        places[name] = opened.channel.place
        opened.close()
    try:
        _check_told(database, places)
    except StorageError as error:
        logger.warning("not checked whether alerts are open in channels that %s has not: %s", file, error)


def _check_told(database: str, places: Mapping[str, str]) -> None:
    engine = open_database(database)
    try:
        migrate(engine)
        with reading(engine) as connection:
            missing = sorted(set(_told_of_open_alerts(connection)) - set(places))
            moved = sorted({entry.channel for entry in _open_elsewhere(connection, places)})
    finally:
        engine.dispose()
    if moved:
        raise InvalidPolicyError(
            f"{', '.join(moved)} has told of alerts that are open by another key or repository than MLOPS_CHANNELS "
            "names now, so that their end could not be told there; put the former one back, and add an entry with the "
            "new one, to which the routes go (`mlops alerts list`)"
        )
    if missing:
        raise InvalidPolicyError(
            f"{', '.join(missing)} was told of alerts that are open, and MLOPS_CHANNELS does not name it any more, "
            "so that their end could not be told there; put its entry back, without routes to it, until they are over "
            "(`mlops alerts list`)"
        )


def _told_of_open_alerts(connection: Connection) -> Collection[str]:
    told = outbox.c.state.in_((State.WAITING.value, State.SENT.value))
    query = select(outbox.c.channel).distinct().join(alerts, alerts.c.id == outbox.c.alert).where(IS_OPEN, told)
    return list(connection.scalars(query))


def _open_elsewhere(connection: Connection, places: Mapping[str, str]) -> Collection[Entry]:
    """Return the last message about each open alert that a channel took at another place than it has now."""
    sent = outbox.c.state == State.SENT.value
    query = select(outbox).join(alerts, alerts.c.id == outbox.c.alert).where(IS_OPEN, sent).order_by(outbox.c.id)
    last = {(entry.alert, entry.channel): entry for entry in readable(connection.execute(query).mappings(), entry_of)}
    return [
        entry
        for entry in last.values()
        if entry.channel in places and left_open(entry.alert, places[entry.channel], entry)
    ]
