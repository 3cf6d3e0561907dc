"""Labels that were accepted while the shared database was away, in a file of this machine."""

from collections.abc import Collection, Iterable
from pathlib import Path

from mlops_dagster.predictions.labels.inbox import SentLabel, Waiting
from mlops_dagster.predictions.spool.sqlite import Durability, SqliteFile

_SCHEMA = "CREATE TABLE IF NOT EXISTS labels (number INTEGER PRIMARY KEY AUTOINCREMENT, body BLOB NOT NULL)"


class LabelOutbox:
    """Labels in the order in which they came, until they are delivered. Raises StorageError, CorruptedError."""

    def __init__(self, path: Path, durability: Durability) -> None:
        self._file = SqliteFile(path, _SCHEMA, durability)

    def add(self, labels: Iterable[SentLabel]) -> None:
        """Store labels; they are durable on return."""
        with self._file.writing() as connection:
            connection.executemany("INSERT INTO labels (body) VALUES (?)", ((label.encoded(),) for label in labels))

    def read(self, limit: int) -> list[Waiting]:
        """Return the first labels, at most `limit`."""
        with self._file.reading() as connection:
            rows = connection.execute("SELECT number, body FROM labels ORDER BY number LIMIT ?", (limit,))
            return [Waiting(number, SentLabel.decoded(body)) for number, body in rows]

    def is_empty(self) -> bool:
        with self._file.reading() as connection:
            return connection.execute("SELECT 1 FROM labels LIMIT 1").fetchone() is None

    def remove(self, upto: int) -> None:
        """Delete the labels up to number `upto`."""
        with self._file.writing() as connection:
            connection.execute("DELETE FROM labels WHERE number <= ?", (upto,))

    def forget(self, model: str, prediction_ids: Collection[str]) -> None:
        """Remove the labels of these predictions, and overwrite every byte of the labels deleted so far."""
        ids = set(prediction_ids)
        with self._file.writing() as connection:
            kept = [(number, SentLabel.decoded(body)) for number, body in connection.execute("SELECT * FROM labels")]
            theirs = [(number,) for number, sent in kept if sent.batch.model == model and sent.prediction_id in ids]
            connection.executemany("DELETE FROM labels WHERE number = ?", theirs)
        self._file.purge()

    def close(self) -> None:
        self._file.close()
