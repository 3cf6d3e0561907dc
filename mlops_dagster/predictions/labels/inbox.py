"""Labels on their way to the replica that answered, and the holder of each id: tables of the shared database."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import cached_property
from hashlib import blake2b
from typing import Any, Final, NamedTuple

import orjson
from sqlalchemy import BigInteger, Boolean, Column, Engine, Index, LargeBinary, MetaData, String, Table, text

from mlops_dagster.database import looking, open_database, writing
from mlops_dagster.predictions.labels.join import Batch
from mlops_dagster.predictions.records import from_microseconds, microseconds

TABLES = MetaData()

label_inbox = Table(
    "label_inbox",
    TABLES,
    Column("number", BigInteger, primary_key=True, autoincrement=True),
    Column("model", String, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column(
        "body", LargeBinary, nullable=False
    ),  # bytes: a client's text may have characters that PostgreSQL's texts cannot have
    Column("received_at", BigInteger, nullable=False),
    Column("searched", Boolean, nullable=False, server_default="false"),
    Index("label_inbox_by_model", "model"),
)

label_holders = Table(
    "label_holders",
    TABLES,
    Column("model", String, primary_key=True),
    Column("digest", LargeBinary, primary_key=True),
    Column("spool", String, nullable=False),
    Column("at", BigInteger, nullable=False),
    Index("label_holders_by_time", "at"),
)

label_readers = Table(
    "label_readers",
    TABLES,
    Column("spool", String, primary_key=True),
    Column("number", BigInteger, nullable=False),
    Column("seen_at", BigInteger, nullable=False),
)

ALIVE = timedelta(seconds=60)
"""Time without a look after which a replica counts as away."""

_MOST_WAITING = 1_000_000  # of one model, some 300 MB
_WORK: Final = "mlops_dagster labels"
_PATIENCE = 5.0  # seconds, for which the sender of a label may wait for a database that hangs


class SentLabel(NamedTuple):
    """One label as it was sent, with the fields that its whole batch shares."""

    batch: Batch
    prediction_id: str
    label: str
    at: int | None  # microseconds; None if its sender did not say

    @property
    def known_at(self) -> datetime | None:
        return None if self.at is None else from_microseconds(self.at)

    def encoded(self) -> bytes:
        return orjson.dumps([[*self.batch], self.prediction_id, self.label, self.at])

    @classmethod
    def decoded(cls, body: bytes) -> "SentLabel":
        """Return the label that `encoded` made these bytes of."""
        batch, *rest = orjson.loads(body)
        return cls(Batch(*batch), *rest)


class Waiting(NamedTuple):
    """A waiting label, and its number."""

    number: int
    sent: SentLabel


class LabelInbox:
    """The labels that wait for the replica that answered, in PostgreSQL.

    Each replica reads every label once, in the order of their numbers, and removes those that it has recorded. If
    several replicas know an id, the first that claims it holds it: a label belongs to the holder's prediction,
    whichever replica it was sent to.

    The database is opened at its first use. Every method raises StorageError while it is away.
    """

    def __init__(self, url: str) -> None:
        self._engine = open_database(url)

    def look(self, spool: str, now: datetime) -> int:
        """Register that a replica is alive; return the number of the last label that it has read."""
        with looking(self._database, _PATIENCE) as connection:
            statement = text(
                "INSERT INTO label_readers VALUES (:spool, 0, :now) "
                "ON CONFLICT (spool) DO UPDATE SET seen_at = excluded.seen_at RETURNING number"
            )
            return int(connection.execute(statement, {"spool": spool, "now": microseconds(now)}).scalar_one())

    def has_others(self, spool: str) -> bool:
        """Return whether a replica other than this one may have answered something."""
        return bool(self._rows("SELECT 1 FROM label_readers WHERE spool <> :spool LIMIT 1", spool=spool))

    def claim(self, model: str, prediction_ids: Collection[str], spool: str, now: datetime) -> set[str]:
        """Claim these ids for a replica, unless another one holds them; return those that it holds now."""
        digests = {_digest(each): each for each in prediction_ids}
        if not digests:
            return set()
        its = {"model": model, "digests": sorted(digests), "spool": spool}  # sorted: two claims cannot deadlock
        self._change(
            "INSERT INTO label_holders SELECT :model, digest, :spool, :now "
            "FROM unnest(CAST(:digests AS bytea[])) AS digest ON CONFLICT DO NOTHING",
            **its,
            now=microseconds(now),
        )
        held = "SELECT digest FROM label_holders WHERE model = :model AND digest = ANY(:digests) AND spool = :spool"
        return {digests[bytes(digest)] for (digest,) in self._rows(held, **its)}

    def take_over(self, model: str, prediction_ids: Collection[str], spool: str, now: datetime) -> None:
        """Claim ids whose holders are away for this replica."""
        self._change(
            "UPDATE label_holders SET spool = :spool WHERE model = :model AND digest = ANY(:digests) "
            "AND spool NOT IN (SELECT spool FROM label_readers WHERE seen_at >= :alive)",
            model=model,
            digests=[_digest(each) for each in prediction_ids],
            spool=spool,
            alive=microseconds(now - ALIVE),
        )

    def post(self, model: str, labels: Sequence[SentLabel]) -> bool:
        """Store labels of a model for the replica that answered; return False, and store none, if too many wait."""
        waiting = "SELECT count(*) FROM (SELECT 1 FROM label_inbox WHERE model = :model LIMIT :most) AS waiting"
        # One writer at a time, so that numbers become visible in order: no replica reads past a number still to come.
        with writing(self._database, _WORK, _PATIENCE) as connection:
            there = connection.execute(text(waiting), {"model": model, "most": _MOST_WAITING}).scalar_one()
            if there + len(labels) > _MOST_WAITING:
                return False
            rows = [
                {
                    "model": model,
                    "digest": _digest(label.prediction_id),
                    "body": label.encoded(),
                    "received_at": label.batch.received_at,
                }
                for label in labels
            ]
            connection.execute(label_inbox.insert(), rows)
        return True

    def read(self, after: int, limit: int) -> list[Waiting]:
        """Return the waiting labels after number `after`, at most `limit`."""
        query = "SELECT number, body FROM label_inbox WHERE number > :after ORDER BY number LIMIT :limit"
        return _waiting(self._rows(query, after=after, limit=limit))

    def done(self, spool: str, recorded: Collection[int], upto: int) -> None:
        """Remove the labels that a replica has recorded, and note that it has read up to number `upto`."""
        with writing(self._database, _WORK, _PATIENCE) as connection:
            connection.execute(
                text("DELETE FROM label_inbox WHERE number = ANY(:numbers)"), {"numbers": sorted(recorded)}
            )
            connection.execute(
                text("UPDATE label_readers SET number = greatest(number, :upto) WHERE spool = :spool"),
                {"spool": spool, "upto": upto},
            )

    def leads(self, spool: str, now: datetime) -> bool:
        """Return whether this replica leads: of the live ones, one handles the labels that no replica takes."""
        query = "SELECT min(spool) FROM label_readers WHERE seen_at >= :alive"
        return bool(self._rows(query, alive=microseconds(now - ALIVE))[0][0] == spool)

    def unmatched(self, now: datetime) -> Mapping[str, int]:
        """Remove labels that no replica knows; return how many, by model.

        Removes only labels that every registered replica has read, and only while all of them are alive.
        """
        return self._removed(
            "DELETE FROM label_inbox WHERE number <= (SELECT min(number) FROM label_readers) "
            "AND NOT EXISTS (SELECT 1 FROM label_readers WHERE seen_at < :alive) RETURNING model",
            alive=microseconds(now - ALIVE),
        )

    def unclaimed(self, now: datetime, limit: int) -> list[Waiting]:
        """Return labels that no live replica knows and that have not been searched for in the log."""
        query = (
            "SELECT number, body FROM label_inbox WHERE NOT searched AND number <= "
            "(SELECT min(number) FROM label_readers WHERE seen_at >= :alive) ORDER BY number LIMIT :limit"
        )
        return _waiting(self._rows(query, alive=microseconds(now - ALIVE), limit=limit))

    def searched(self, numbers: Iterable[int]) -> None:
        """Note that these labels are of no prediction in the log: they wait for replicas that are away."""
        self._change("UPDATE label_inbox SET searched = true WHERE number = ANY(:numbers)", numbers=list(numbers))

    def expire(self, before: datetime) -> Mapping[str, int]:
        """Remove replicas, holders and labels older than `before`; return how many labels, by model."""
        at = microseconds(before)
        self._change("DELETE FROM label_readers WHERE seen_at < :at", at=at)
        self._change("DELETE FROM label_holders WHERE at < :at", at=at)
        return self._removed("DELETE FROM label_inbox WHERE received_at < :at RETURNING model", at=at)

    def waiting(self) -> Mapping[str, int]:
        """Return how many labels wait, by model."""
        return dict(map(tuple, self._rows("SELECT model, count(*) FROM label_inbox GROUP BY model")))

    def forget(self, model: str, prediction_ids: Collection[str]) -> None:
        """Remove the labels that wait for these predictions of a model, and the record of their holders."""
        its = {"model": model, "digests": [_digest(each) for each in prediction_ids]}
        for table in ("label_inbox", "label_holders"):
            self._change(f"DELETE FROM {table} WHERE model = :model AND digest = ANY(:digests)", **its)  # noqa: S608

    def close(self) -> None:
        self._engine.dispose()

    @cached_property
    def _database(self) -> Engine:
        with writing(self._engine, _WORK, _PATIENCE) as connection:
            TABLES.create_all(connection)
        return self._engine

    def _rows(self, query: str, **values: object) -> Sequence[tuple[Any, ...]]:  # the query determines a row's columns
        with looking(self._database, _PATIENCE) as connection:
            return [tuple(row) for row in connection.execute(text(query), values)]

    def _change(self, statement: str, **values: object) -> None:
        with looking(self._database, _PATIENCE) as connection:
            connection.execute(text(statement), values)

    def _removed(self, statement: str, **values: object) -> Mapping[str, int]:
        return Counter(model for (model,) in self._rows(statement, **values))


def _waiting(rows: Iterable[tuple[int, bytes]]) -> list[Waiting]:
    return [Waiting(number, SentLabel.decoded(bytes(body))) for number, body in rows]


def _digest(prediction_id: str) -> bytes:
    """Return a digest of the id: of fixed size, and it reveals no person or order that the id may name."""
    return blake2b(prediction_id.encode(), digest_size=16).digest()
