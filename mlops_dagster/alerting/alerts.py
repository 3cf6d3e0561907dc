"""Alerts in the database of the registry: opened once, updated when seen again, resolved."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Column, Index, Integer, MetaData, Row, String, Table, Text, insert, select, update

from mlops_dagster.alerting.alert import Alert, Severity
from mlops_dagster.alerting.rule import Rule
from mlops_dagster.clock import Clock, parse_time
from mlops_dagster.database import migrate, open_database, reading, writing
from mlops_dagster.documents.json_text import json_text
from mlops_dagster.documents.readable import readable, reading_row
from mlops_dagster.documents.texts import plain

TABLES = MetaData()
_alerts = Table(
    "alerts",
    TABLES,
    Column("id", Integer, primary_key=True),
    Column("model", String, nullable=False),
    Column("rule", String, nullable=False),
    Column("severity", String, nullable=False),
    Column("summary", Text, nullable=False),
    Column("done", Text, nullable=False),
    Column("evidence", Text, nullable=False),
    Column("opened_at", String, nullable=False),
    Column("last_seen_at", String, nullable=False),
    Column("times", Integer, nullable=False),
    Column("resolved_at", String),
    Column("resolution", Text, nullable=False),
)
_IS_OPEN = _alerts.c.resolved_at.is_(None)
Index(
    "one_open_alert_per_rule",
    _alerts.c.model,
    _alerts.c.rule,
    unique=True,
    sqlite_where=_IS_OPEN,
    postgresql_where=_IS_OPEN,
)


class Alerts:
    """The alerts of all models. Any number of processes may share the `database`; only one opens an alert of a rule."""

    def __init__(self, database: str, clock: Clock) -> None:
        self._engine = open_database(database)
        self._clock = clock
        migrate(self._engine)

    def report(
        self,
        model: str,
        rule: Rule,
        severity: Severity,
        summary: str,
        *,
        done: str = "",
        evidence: Mapping[str, object] | None = None,
    ) -> Alert:
        """Open an alert; if this rule of the model has an open one, update it and count one sighting more."""
        now = self._clock.now().isoformat()
        told = {
            "severity": severity.value,
            "summary": plain(summary),
            "done": plain(done),
            "evidence": json_text(evidence or {}),
            "last_seen_at": now,
        }
        with writing(self._engine) as connection:
            again = (
                update(_alerts)
                .where(_alerts.c.model == model, _alerts.c.rule == rule, _IS_OPEN)
                .values(**told, times=_alerts.c.times + 1)
                .returning(_alerts)
            )
            row = connection.execute(again).one_or_none()
            if row is None:
                first = {"model": model, "rule": rule, "opened_at": now, "times": 1, "resolution": ""}
                row = connection.execute(insert(_alerts).values(**told, **first).returning(_alerts)).one()
        return _alert(row)

    def resolve(self, model: str, rule: str, resolution: str) -> Alert | None:
        """Close the open alert of this rule with the reason why it is over, and return it; None if none is open."""
        over = (
            update(_alerts)
            .where(_alerts.c.model == model, _alerts.c.rule == rule, _IS_OPEN)
            .values(resolved_at=self._clock.now().isoformat(), resolution=plain(resolution))
            .returning(_alerts)
        )
        with writing(self._engine) as connection:
            row = connection.execute(over).one_or_none()
        return None if row is None else _alert(row)

    def list(self, model: str | None = None, *, resolved: bool = False) -> Sequence[Alert]:
        """Return the open alerts that can be read, oldest first; with `resolved`, the closed ones too."""
        query = select(_alerts).order_by(_alerts.c.id)
        if model is not None:
            query = query.where(_alerts.c.model == model)
        with reading(self._engine) as connection:
            rows = connection.execute(query if resolved else query.where(_IS_OPEN))
            return readable(rows, _alert)

    def close(self) -> None:
        """Close the connections to the database."""
        self._engine.dispose()


def _alert(row: Row[*tuple[Any, ...]]) -> Alert:
    with reading_row(f"the alert {row.id} ({row.rule} of {row.model})", "it is written anew when it is seen again"):
        return Alert(
            id=row.id,
            model=row.model,
            rule=row.rule,
            severity=Severity(row.severity),
            summary=row.summary,
            done=row.done,
            evidence=json.loads(row.evidence),
            opened_at=parse_time(row.opened_at),
            last_seen_at=parse_time(row.last_seen_at),
            times=row.times,
            resolved_at=None if row.resolved_at is None else parse_time(row.resolved_at),
            resolution=row.resolution,
        )
