"""Reads over many models in one statement each: for pages that show a whole fleet."""

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import ColumnElement, func, select, tuple_

from mlops_dagster.clock import parse_time, time_text
from mlops_dagster.database import looking, reading
from mlops_dagster.documents.readable import Followed, readable
from mlops_dagster.errors import UnreadableError
from mlops_dagster.registry.entities.entities import Acknowledgement, Deployment, Event, EventKind, ModelVersion
from mlops_dagster.registry.entities.policies import ModelPolicies
from mlops_dagster.registry.entities.stages import Stage
from mlops_dagster.registry.operations.policies import policies_of_event
from mlops_dagster.registry.session import Session
from mlops_dagster.registry.stores.rows import deployment_of, event_of, version_of
from mlops_dagster.registry.stores.tables import acknowledgements, deployments, events, versions

_ALL = select(deployments).order_by(deployments.c.model)


class VersionMove(NamedTuple):
    """A version's move into a stage."""

    model: str
    version: str
    kind: EventKind
    """`registered`, `transition` or `rollback`."""
    stage: Stage
    at: datetime
    reason: str


class Fleet(Session):
    """All models, or some of them, now or as of a time by the registry's clock. A row that cannot be read is left out.

    All methods raise StorageError.
    """

    def deployments(self, *, as_of: datetime | None = None) -> dict[str, Deployment]:
        """Return the deployment of every model by name, sorted; as of a time, of the models that had an event by then.

        A model of which only policies were published has no deployment.
        """
        with reading(self._engine) as connection:
            if as_of is None:
                found = readable(connection.execute(_ALL), lambda row: deployment_of(row._asdict()))
            else:
                last = _last_of_each(events.c.at <= time_text(as_of), events.c.version.is_not(None))
                registered = set(connection.scalars(select(events.c.model).where(events.c.id.in_(last))))
                query = select(events).where(events.c.id.in_(_last_of_each(events.c.at <= time_text(as_of))))
                changes = readable(connection.execute(query), lambda row: event_of(row._asdict()))
                found = [event.deployment for event in changes if event.model in registered]
        return {each.model: each for each in sorted(found, key=lambda each: each.model)}

    def follow_deployments(self) -> Callable[[], Mapping[str, Deployment | UnreadableError]]:
        """Return a function that reads the deployment of every model in one statement, for who looks all the time.

        What has not changed since its last call is the same object; what cannot be read is its error.
        """
        followed = Followed(lambda row: deployment_of(row._asdict()))

        def read() -> Mapping[str, Deployment | UnreadableError]:
            with looking(self._engine) as connection:
                return followed.entities(connection.execute(_ALL).all())

        return read

    def last_events(
        self, kinds: Sequence[EventKind], *, models: Collection[str] | None = None, as_of: datetime | None = None
    ) -> dict[str, Event]:
        """Return the last event of these kinds of each model that has one; of all models unless some are named."""
        last = _last_of_each(events.c.kind.in_(kinds), *_until(as_of), *_of(models))
        with reading(self._engine) as connection:
            rows = connection.execute(select(events).where(events.c.id.in_(last)))
            found = readable(rows, lambda row: event_of(row._asdict()))
        return {event.model: event for event in found}

    def policies_of(
        self, models: Collection[str] | None = None, *, as_of: datetime | None = None
    ) -> dict[str, ModelPolicies]:
        """Return the policies in force of the models that have published ones."""
        found = {}
        for model, event in self.last_events(("policies",), models=models, as_of=as_of).items():
            try:
                found[model] = policies_of_event(event)
            except UnreadableError:  # the page of that model says so
                continue
        return found

    def moves(self, models: Collection[str], *, as_of: datetime | None = None) -> Sequence[VersionMove]:
        """Return every move of the versions of these models into a stage, oldest first."""
        c = events.c
        query = (
            select(c.model, c.version, c.kind, c.to_stage, c.at, c.reason)
            .where(c.to_stage.is_not(None), *_of(models), *_until(as_of))
            .order_by(c.id)
        )
        with reading(self._engine) as connection:
            rows = connection.execute(query).all()
        return [
            VersionMove(model, version, kind, Stage(stage), parse_time(at), reason)
            for model, version, kind, stage, at, reason in rows
        ]

    def versions_of(self, wanted: Mapping[str, Collection[str]]) -> Mapping[tuple[str, str], ModelVersion]:
        """Return the versions of these names, which are given by model, by model and version."""
        pairs = [(model, name) for model, names in wanted.items() for name in names]
        query = select(versions).where(tuple_(versions.c.model, versions.c.version).in_(pairs))
        with reading(self._engine) as connection:
            found = readable(connection.execute(query), lambda row: version_of(row._asdict()))
        return {(each.model, each.version): each for each in found}

    def stage_counts(self, *, as_of: datetime | None = None) -> Mapping[str, Mapping[Stage, int]]:
        """Return the number of versions in each stage, by model."""
        c = events.c
        last = (
            select(func.max(c.id))
            .where(c.to_stage.is_not(None), *_until(as_of))
            .group_by(c.model, c.version)
            .scalar_subquery()
        )
        query = select(c.model, c.to_stage, func.count()).where(c.id.in_(last)).group_by(c.model, c.to_stage)
        found: defaultdict[str, dict[Stage, int]] = defaultdict(dict)
        with reading(self._engine) as connection:
            for model, stage, count in connection.execute(query):
                found[model][Stage(stage)] = count
        return found

    def latest_events(
        self, kinds: Sequence[EventKind], *, as_of: datetime | None = None, model: str | None = None, limit: int
    ) -> Sequence[Event]:
        """Return the latest `limit` events of these kinds, newest first; of all models unless one is named."""
        query = (
            select(events)
            .where(events.c.kind.in_(kinds), *_until(as_of), *_of(None if model is None else [model]))
            .order_by(events.c.at.desc(), events.c.id.desc())
            .limit(limit)
        )
        with reading(self._engine) as connection:
            return readable(connection.execute(query), lambda row: event_of(row._asdict()))

    def acknowledgements_of(self, models: Collection[str]) -> Mapping[str, Sequence[Acknowledgement]]:
        """Return, by model, the time from which each process served each epoch, oldest first."""
        table = acknowledgements
        query = select(table).where(table.c.model.in_(models)).order_by(table.c.at)
        found: defaultdict[str, list[Acknowledgement]] = defaultdict(list)
        with reading(self._engine) as connection:
            for row in connection.execute(query):
                found[row.model].append(Acknowledgement(row.process, row.epoch, parse_time(row.at)))
        return found


def _last_of_each(*conditions: ColumnElement[bool]) -> ColumnElement[int]:
    """Return the ids of the last events of each model that meet the conditions."""
    return select(func.max(events.c.id)).where(*conditions).group_by(events.c.model).scalar_subquery()


def _until(as_of: datetime | None) -> list[ColumnElement[bool]]:
    return [] if as_of is None else [events.c.at <= time_text(as_of)]


def _of(models: Collection[str] | None) -> list[ColumnElement[bool]]:
    return [] if models is None else [events.c.model.in_(models)]
