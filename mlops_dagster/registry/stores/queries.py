"""The SQL statements of all reads and writes. Built once: building one takes longer than SQLite takes to answer."""

from sqlalchemy import and_, bindparam, func, insert, select, update

from mlops_dagster.registry.entities.stages import Stage
from mlops_dagster.registry.stores.tables import cleanings, deployments, events, versions

_OF_MODEL = versions.c.model == bindparam("of_model")
_OF_VERSION = and_(_OF_MODEL, versions.c.version == bindparam("of_version"))

VERSION = select(versions).where(_OF_VERSION)
VERSIONS = select(versions).where(_OF_MODEL).order_by(versions.c.id)
STAGES = select(versions.c.version, versions.c.stage).where(
    _OF_MODEL, versions.c.version.in_(bindparam("names", expanding=True))
)
VERSION_NAMES = select(versions.c.version).where(_OF_MODEL).order_by(versions.c.id)
ROLLED_BACK = select(versions.c.version).where(_OF_MODEL, versions.c.rolled_back)
ROLLED_BACK_TWINS = (
    select(versions)
    .where(
        _OF_MODEL,
        versions.c.digest == bindparam("of_digest"),
        versions.c.version != bindparam("but_version"),
        versions.c.rolled_back,
    )
    .order_by(versions.c.id.desc())
)
INSERT_VERSION = insert(versions)
UPDATE_VERSION = update(versions).where(_OF_VERSION)

DEPLOYMENT = select(deployments).where(deployments.c.model == bindparam("of_model"))
INSERT_DEPLOYMENT = insert(deployments)
UPDATE_DEPLOYMENT = update(deployments).where(deployments.c.model == bindparam("of_model"))
CHAMPION = (
    select(versions)
    .join(deployments, and_(versions.c.model == deployments.c.model, versions.c.version == deployments.c.champion))
    .where(deployments.c.model == bindparam("of_model"))
)

HEAD = select(events.c.id, events.c.hash).order_by(events.c.id.desc()).limit(1)
INSERT_EVENT = insert(events)
LAST_TIMES = (
    select(events.c.at, events.c.recorded_at)
    .where(events.c.model == bindparam("of_model"))
    .order_by(events.c.id.desc())
    .limit(1)
)
_LAST_EVENT = select(events).where(events.c.model == bindparam("of_model")).order_by(events.c.id.desc()).limit(1)
LAST_EVENT_UNTIL = _LAST_EVENT.where(events.c.at <= bindparam("until"))
LAST_OF_KINDS = _LAST_EVENT.where(events.c.kind.in_(bindparam("kinds", expanding=True)))
LAST_OF_KINDS_UNTIL = LAST_OF_KINDS.where(events.c.at <= bindparam("until"))
LAST_OF_KINDS_OF_VERSION = LAST_OF_KINDS.where(events.c.version == bindparam("of_version"))
CHAMPIONS = (
    select(events.c.version)
    .where(events.c.model == bindparam("of_model"), events.c.to_stage == Stage.PRODUCTION.value)
    .order_by(events.c.id.desc())
)

LAST_CLEANING = select(func.max(cleanings.c.id))
