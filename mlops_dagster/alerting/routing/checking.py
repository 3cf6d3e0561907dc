"""The check of the file of channels before a server starts, while its operator reads the errors."""

import logging
from collections.abc import Collection
from pathlib import Path

from sqlalchemy import Connection, select

from mlops_dagster.alerting.channels.opening import open_channel
from mlops_dagster.alerting.delivery.entry import State
from mlops_dagster.alerting.delivery.tables import outbox
from mlops_dagster.alerting.life.tables import IS_OPEN, alerts
from mlops_dagster.alerting.routing.channels_file import read_channels
from mlops_dagster.clock import SystemClock
from mlops_dagster.database import migrate, open_database, reading
from mlops_dagster.errors import InvalidPolicyError, StorageError

logger = logging.getLogger(__name__)


def check_channels(file: Path, database: str) -> None:
    """Raise InvalidPolicyError unless each channel can be opened, and those with open alerts are all there.

    Raises MissingExtraError too. A database that is away is no reason not to start.
    """
    routing = read_channels(file)
    for name, spec in routing.channels.items():
        open_channel(name, spec, SystemClock()).close()
    try:
        _check_told(database, routing.channels)
    except StorageError as error:
        logger.warning("not checked whether alerts are open in channels that %s has not: %s", file, error)


def _check_told(database: str, names: Collection[str]) -> None:
    engine = open_database(database)
    try:
        migrate(engine)
        with reading(engine) as connection:
            missing = sorted(set(_told_of_open_alerts(connection)) - set(names))
    finally:
        engine.dispose()
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
