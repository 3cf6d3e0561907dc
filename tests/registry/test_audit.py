"""Each way to change the past is found."""

# ruff: noqa: S608  # forging rows by SQL is the point

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from mlops_dagster.errors import AuditError
from mlops_dagster.registry import ModelRegistry
from mlops_dagster.registry.stores.chain import GENESIS, chained_hash

Tamper = Callable[[Connection], object]


@pytest.fixture(autouse=True)
def eight_events(registry: ModelRegistry, add) -> None:
    """The last three are a rollback and a registration."""
    for minor in range(2):
        registry.transition(add(f"1.{minor}.0"), "Production")
    registry.rollback("flights", reason="bad", evidence={"p": 0.001})
    add("1.2.0")
    assert registry.audit().events == 8


def tampered(database: Engine, tamper: Tamper) -> None:
    with database.begin() as connection:
        if database.dialect.name == "sqlite":
            connection.execute(text("DROP TRIGGER events_refuse_update"))
            connection.execute(text("DROP TRIGGER events_refuse_delete"))
        else:
            connection.execute(text("ALTER TABLE events DISABLE TRIGGER ALL"))
        tamper(connection)


def sql(*statements: str) -> Tamper:
    return lambda connection: [connection.execute(text(statement)) for statement in statements]


def swapped(first: int, second: int) -> Tamper:
    return sql(
        f"UPDATE events SET id = 999 WHERE id = {first}",
        f"UPDATE events SET id = {first} WHERE id = {second}",
        f"UPDATE events SET id = {second} WHERE id = 999",
    )


COLUMNS = (
    "model",
    "version",
    "kind",
    "from_stage",
    "to_stage",
    "actor",
    "reason",
    "evidence",
    "epoch",
    "at",
    "recorded_at",
    "deployment",
    "hash",
)
COPY_OF_THE_LAST = f"INSERT INTO events SELECT id + 1, {', '.join(COLUMNS)} FROM events WHERE id = 8"
CLOSE_THE_GAP = tuple(f"UPDATE events SET id = {number - 1} WHERE id = {number}" for number in range(5, 9))
FORGED = dict.fromkeys(COLUMNS, "'forged'") | {"epoch": "99"}
FORGERIES = [
    *((sql(f"UPDATE events SET {column} = {FORGED[column]} WHERE id = 6"), "event 6 is not as") for column in COLUMNS),
    (sql("DELETE FROM events WHERE id = 1"), "event 1 is missing"),
    (sql("DELETE FROM events WHERE id = 4"), "event 4 is missing"),
    (sql("DELETE FROM events WHERE id = 4", *CLOSE_THE_GAP), "event 4 is not as it was written, or not where"),
    (swapped(4, 5), "event 4 is not as it was written, or not where"),
    (sql("DELETE FROM events WHERE id = 8"), "events 8 to 8 are cut off"),
    (sql("DELETE FROM events"), "events 1 to 8 are cut off"),
    (sql(COPY_OF_THE_LAST), "event 9 is not as it was written"),
]


@pytest.mark.parametrize(("tamper", "message"), FORGERIES)
def test_a_changed_removed_reordered_or_added_event_is_named(
    registry: ModelRegistry, database: Engine, tamper: Tamper, message: str
) -> None:
    tampered(database, tamper)
    with pytest.raises(AuditError, match=message) as error:
        registry.audit()
    assert error.value.code == "audit_broken"


def rechained(connection: Connection) -> None:
    """What a careful forger does: change one row and compute every later hash anew."""
    connection.execute(text("UPDATE events SET actor = 'somebody else' WHERE id = 5"))
    previous = GENESIS
    for row in connection.execute(text("SELECT * FROM events ORDER BY id")).all():
        previous = chained_hash(previous, row._asdict())
        change = text("UPDATE events SET hash = :hash WHERE id = :id")
        connection.execute(change, {"hash": previous, "id": row.id})


def cut_with_all_its_traces(connection: Connection) -> None:
    """The last registration never was: event, version row, and nothing else to see."""
    connection.execute(text("DELETE FROM events WHERE id = 8"))
    connection.execute(text("DELETE FROM versions WHERE version = '1.2.0'"))


@pytest.mark.parametrize(
    ("tamper", "message"),
    [(rechained, "event 5 has another hash than was noted"), (cut_with_all_its_traces, "events 8 to 8 are cut off")],
)
def test_only_the_anchor_outside_finds_a_careful_forger(
    registry: ModelRegistry, database: Engine, tmp_path: Path, tamper: Tamper, message: str
) -> None:
    tampered(database, tamper)
    with pytest.raises(AuditError, match=message):
        registry.audit()
    for anchor in (tmp_path / "home" / "artifacts" / "anchors").glob("*/*"):
        anchor.unlink()
    registry.audit()


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("UPDATE deployments SET champion = '1.1.0'", "row of flights was changed .* deployment"),
        ("UPDATE deployments SET canary_weight = 0.5", "row of flights was changed .* deployment"),
        ("DELETE FROM deployments", "row of flights"),
        ("UPDATE versions SET digest = 'abc' WHERE version = '1.0.0'", "row of flights 1.0.0 was changed"),
        ("UPDATE versions SET stage = 'Shadow' WHERE version = '1.2.0'", "1.2.0 was changed .* its stage is Shadow"),
        ("UPDATE versions SET rolled_back = false", "1.1.0 was changed .* its rolled_back is False"),
        ("UPDATE versions SET card = NULL WHERE version = '1.1.0'", "1.1.0 was changed .* its card is None"),
        ("UPDATE versions SET lineage = '{\"a\": \"b\"}' WHERE version = '1.1.0'", "1.1.0 was changed .* its content"),
        ("DELETE FROM versions WHERE version = '1.1.0'", "row of flights 1.1.0"),
        ("UPDATE versions SET version = '9.0.0' WHERE version = '1.1.0'", "row of flights 1.1.0"),
    ],
)
def test_rows_are_what_the_events_say(registry: ModelRegistry, database: Engine, statement: str, message: str) -> None:
    with database.begin() as connection:
        connection.execute(text(statement))
    with pytest.raises(AuditError, match=message):
        registry.audit()


@pytest.mark.parametrize("statement", ["UPDATE events SET reason = ''", "DELETE FROM events WHERE id = 8"])
def test_the_database_itself_refuses_to_change_events(database: Engine, statement: str) -> None:
    with database.connect() as connection, pytest.raises(DBAPIError, match="append-only"):
        connection.execute(text(statement))


def test_the_chain_is_plain_sha256_over_the_columns() -> None:
    """Computed with Python's json and `sha256sum`, so that anybody can check a chain without this project."""
    row = {"id": 1, "reason": "ä", "hash": "left out"}
    text = json.dumps(["", {"id": 1, "reason": "ä"}])
    assert text == '["", {"id": 1, "reason": "\\u00e4"}]'
    assert chained_hash(GENESIS, row) == "dcd7174f4015e0c6f93c29515c5034a25b3eb78a2bcd61f9327ba34688d0116d"
    assert chained_hash("x", row) != chained_hash(GENESIS, row)
