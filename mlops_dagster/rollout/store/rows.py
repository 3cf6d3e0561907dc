"""Rollouts and decisions as rows of tables, and back."""

from dataclasses import replace
from typing import Any

from sqlalchemy import Column, ForeignKey, Index, Integer, MetaData, Row, String, Table, Text

from mlops_dagster.clock import parse_time
from mlops_dagster.documents.readable import reading_row
from mlops_dagster.rollout.entities import Decision, Phase, Rollout

_REMEDY = "if it runs, `mlops rollouts abort {model} --reason ...` takes its challenger out and ends it"

TABLES = MetaData()
RUNNING = [phase.value for phase in Phase if not phase.ended]

# The whole entity is in `body`; the other columns are for searches, and for constraints of the database.
rollouts = Table(
    "rollouts",
    TABLES,
    Column("id", Integer, primary_key=True),
    Column("model", String, nullable=False),
    Column("challenger", String, nullable=False),
    Column("phase", String, nullable=False),
    Column("body", Text, nullable=False),
)
Index(
    "one_running_rollout_per_model",
    rollouts.c.model,
    unique=True,
    sqlite_where=rollouts.c.phase.in_(RUNNING),
    postgresql_where=rollouts.c.phase.in_(RUNNING),
)
decisions = Table(
    "decisions",
    TABLES,
    Column("id", Integer, primary_key=True),
    Column("rollout_id", ForeignKey("rollouts.id"), nullable=False, index=True),
    Column("outcome", String, nullable=False),
    Column("recorded_at", String, nullable=False),
    Column("body", Text, nullable=False),
)


def columns_of(rollout: Rollout) -> dict[str, str]:
    return {
        "model": rollout.model,
        "challenger": rollout.challenger,
        "phase": rollout.phase.value,
        "body": rollout.to_json(),
    }


def rollout_of(row: Row[*tuple[Any, ...]]) -> Rollout:
    # The body was written before the database gave the id.
    with reading_row(f"the rollout {row.id} of {row.model} ({row.challenger})", _REMEDY.format(model=row.model)):
        return replace(Rollout.from_json(row.body), id=row.id)


def decision_of(row: Row[*tuple[Any, ...]]) -> Decision:
    with reading_row(f"the decision {row.id} of rollout {row.rollout_id}"):
        return replace(Decision.from_json(row.body), id=row.id, recorded_at=parse_time(row.recorded_at))
