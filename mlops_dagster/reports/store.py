"""The reports in the database of the registry: each revision is a row that never changes."""

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, TypeVar

from sqlalchemy import (
    Column,
    Integer,
    MetaData,
    Row,
    Select,
    String,
    Table,
    Text,
    UniqueConstraint,
    and_,
    false,
    func,
    insert,
    or_,
    select,
)

from mlops_dagster.clock import Clock, parse_time, time_text
from mlops_dagster.database import migrate, open_database, reading, remove, removing, writing
from mlops_dagster.documents.readable import readable, reading_row
from mlops_dagster.documents.texts import plain
from mlops_dagster.reports.report import Content, Report, ReportKind

Some = TypeVar("Some")

_TICK = timedelta(microseconds=1)

TABLES = MetaData()
_reports = Table(
    "reports",
    TABLES,
    Column("id", Integer, primary_key=True),
    Column("model", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("start", String, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("made_at", String, nullable=False),
    Column("champion", String),
    Column("verdict", String, nullable=False),
    Column("reason", Text, nullable=False),
    Column("body", Text, nullable=False),
    UniqueConstraint("model", "kind", "start", "revision"),
)


class Reports:
    """The store of reports in a `database`, which any number of processes may share."""

    def __init__(self, database: str, clock: Clock) -> None:
        self._engine = open_database(database)
        self._clock = clock
        migrate(self._engine)

    def save(
        self,
        kind: ReportKind[Content],
        model: str,
        start: datetime,
        content: Content,
        *,
        verdict: str,
        reason: str = "",
        champion: str | None = None,
    ) -> Report[Content]:
        """Save a report of the period that begins at `start`, as its next revision, and return the report."""
        period = {"model": model, "kind": kind.name, "start": time_text(start)}
        values = {
            **period,
            "made_at": time_text(self._clock.now()),
            "champion": champion,
            "verdict": verdict,
            "reason": plain(reason),
            "body": kind.to_json(content),
        }
        with writing(self._engine) as connection:
            of_period = [_reports.c[name] == value for name, value in period.items()]
            last = connection.scalar(select(func.max(_reports.c.revision)).where(*of_period)) or 0
            row = connection.execute(insert(_reports).values(**values, revision=last + 1).returning(_reports)).one()
        return _report(row, kind.from_json)

    def latest(
        self, kind: ReportKind[Content], model: str, since: datetime, until: datetime, *, at: datetime | None = None
    ) -> Sequence[Report[Content]]:
        """Return the last revision of each period that begins in [since, until), oldest first.

        `at` leaves out revisions made after that time. A row that cannot be read is left out and logged.
        """
        return self._read(_last(model, kind.name, since, until, at), kind.from_json)

    def newest(
        self, kind: ReportKind[Content], model: str, since: datetime, until: datetime, *, at: datetime | None = None
    ) -> Report[Content] | None:
        """Return the report of the last period that begins in [since, until); None if there is none."""
        found = _last(model, kind.name, since, until, at).order_by(None).order_by(_reports.c.start.desc()).limit(1)
        return next(iter(self._read(found, kind.from_json)), None)

    def recent(
        self, kind: ReportKind[Content], model: str, now: datetime, *, within: timedelta, at: datetime | None = None
    ) -> Report[Content] | None:
        """Return the report of the last period that was over by `now`; None if it was over for `within` or longer."""
        ended = now - kind.period + _TICK
        return self.newest(kind, model, ended - within, ended, at=at)

    def last_starts(self, model: str) -> dict[str, datetime]:
        """Return the start of the newest period that has a report, by the name of the kind."""
        query = (
            select(_reports.c.kind, func.max(_reports.c.start))
            .where(_reports.c.model == model)
            .group_by(_reports.c.kind)
        )
        with reading(self._engine) as connection:
            return {kind: parse_time(start) for kind, start in connection.execute(query)}

    def made(self, kind: ReportKind[Any], model: str, since: datetime, until: datetime) -> Collection[datetime]:
        """Return the starts of the periods in [since, until) that have a report."""
        starts = select(_reports.c.start).distinct().where(*_within(model, kind.name, since, until))
        with reading(self._engine) as connection:
            return {parse_time(start) for start in connection.scalars(starts)}

    def revisions(self, kind: ReportKind[Content], model: str, start: datetime) -> Sequence[Report[Content]]:
        """Return every revision of the report of the period that begins at `start`, oldest first."""
        query = select(_reports).where(*_within(model, kind.name, start, start + kind.period))
        return self._read(query.order_by(_reports.c.revision), kind.from_json)

    def list(
        self, model: str, *, kind: str | None = None, at: datetime | None = None, last: int = 50
    ) -> Sequence[Report[Mapping[str, object]]]:
        """Return the last revision for each of the `last` newest periods, of one kind or all, as JSON; newest first."""
        found = (
            _last(model, kind, None, None, at).order_by(None).order_by(_reports.c.start.desc(), _reports.c.id.desc())
        )
        return self._read(found.limit(last), json.loads)

    def get(
        self, model: str, kind: str, *, start: datetime | None = None, at: datetime | None = None
    ) -> Report[Mapping[str, object]] | None:
        """Return the last revision for the period that begins at `start`, or for the newest; None if there is none."""
        found = _last(model, kind, start, None, at)
        if start is not None:
            found = found.where(_reports.c.start == time_text(start))
        newest = found.order_by(None).order_by(_reports.c.start.desc()).limit(1)
        return next(iter(self._read(newest, json.loads)), None)

    def forget(
        self,
        model: str,
        before: Mapping[str, datetime],
        superseded_by: datetime,
        *,
        spared: Sequence[tuple[datetime, datetime]] = (),
        dry_run: bool = False,
    ) -> dict[str, int]:
        """Delete old reports of a model; return how many rows of each kind went.

        Args:
            model: the model.
            before: by the name of the kind, the time before which the reports of periods that have begun go.
            superseded_by: revisions that had a later one at this time go too: nobody can ask for them any more.
            spared: stretches of time in which the reports were made that stay.
            dry_run: only count.
        """
        stays = [_reports.c.made_at.between(time_text(first), time_text(last)) for first, last in spared]
        later = _reports.alias()
        superseded = select(later.c.id).where(
            *(later.c[name] == _reports.c[name] for name in ("model", "kind", "start")),
            later.c.revision > _reports.c.revision,
            later.c.made_at <= time_text(superseded_by),
        )
        gone = {}
        with removing(self._engine, dry_run=dry_run) as connection:
            for kind, at in before.items():
                old = or_(_reports.c.start < time_text(at), superseded.exists())
                its = and_(_reports.c.model == model, _reports.c.kind == kind, old, ~or_(false(), *stays))
                gone[kind] = remove(connection, _reports, its, dry_run=dry_run)
        return gone

    def close(self) -> None:
        """Close the connections to the database."""
        self._engine.dispose()

    def _read(self, query: Select[Any], content: Callable[[str], Some]) -> Sequence[Report[Some]]:
        with reading(self._engine) as connection:
            return readable(connection.execute(query), lambda row: _report(row, content))


def _within(model: str, kind: str | None, since: datetime | None, until: datetime | None) -> list[Any]:
    return [
        _reports.c.model == model,
        *([] if kind is None else [_reports.c.kind == kind]),
        *([] if since is None else [_reports.c.start >= time_text(since)]),
        *([] if until is None else [_reports.c.start < time_text(until)]),
    ]


def _last(
    model: str, kind: str | None, since: datetime | None, until: datetime | None, at: datetime | None
) -> Select[Any]:
    """Select the last revision of each period and kind."""
    known = _within(model, kind, since, until)
    if at is not None:
        known = [*known, _reports.c.made_at <= time_text(at)]
    last = select(func.max(_reports.c.id)).where(*known).group_by(_reports.c.kind, _reports.c.start)
    return select(_reports).where(_reports.c.id.in_(last)).order_by(_reports.c.start, _reports.c.id)


def _report(row: Row[Any], content: Callable[[str], Some]) -> Report[Some]:
    with reading_row(f"the {row.kind} report {row.start} of {row.model}", "make it again: materialize its partition"):
        return Report(
            model=row.model,
            kind=row.kind,
            start=parse_time(row.start),
            revision=row.revision,
            made_at=parse_time(row.made_at),
            champion=row.champion,
            verdict=row.verdict,
            reason=row.reason,
            content=content(row.body),
        )
