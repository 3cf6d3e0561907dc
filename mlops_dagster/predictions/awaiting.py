"""Which arms have scored a prediction: what its label, when it comes, is evidence for."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from sqlite3 import Connection
from typing import NamedTuple

import orjson

from mlops_dagster.predictions.entries import Entry
from mlops_dagster.predictions.records import Arm, LabelEntry, PredictionEntry
from mlops_dagster.predictions.sqlite import SqliteFile

_SCHEMA = """
CREATE TABLE IF NOT EXISTS awaiting (
    prediction_id TEXT PRIMARY KEY, model TEXT NOT NULL, arms TEXT NOT NULL, label TEXT
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS labelled (prediction_id TEXT PRIMARY KEY, at INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS cursors (spool TEXT PRIMARY KEY, number INTEGER NOT NULL) WITHOUT ROWID
"""


class Awaited(NamedTuple):
    """A prediction with the arms that scored it, and the label that holds: of those there are, the last to be known."""

    model: str
    arms: list[Arm]
    label: str | None
    labelled_at: int  # microseconds, when it became known; 0 without one, and where an earlier release noted it


class Awaiting:
    """An index over everything a spool ever held, in a file of its own: making it holds up no answer.

    It is folded from the entries, each exactly once, the labels among them: whatever is in the spool can be found
    once `add` has seen it, and a crash leaves nothing that the next `add` does not mend.
    """

    def __init__(self, path: Path) -> None:
        # Synced with each batch: what is freed elsewhere because it is here must be here after a loss of power too.
        self._file = SqliteFile(path, _SCHEMA, "disk")

    def add(self, spool_id: str, entries: Iterable[Entry]) -> None:
        """Fold the entries that follow the cursor; the others are known."""
        with self._file.writing() as connection:
            after = _cursor(connection, spool_id)
            new = [entry for entry in entries if entry.number > after]
            if not new:
                return
            for entry in new:
                if entry.is_shed:
                    continue
                if entry.sequence is None:
                    _add_label(connection, entry.label())
                else:
                    _add_prediction(connection, entry.prediction())
            connection.execute("REPLACE INTO cursors VALUES (?, ?)", (spool_id, new[-1].number))

    def cursor(self, spool_id: str) -> int:
        """The number of the last entry that was folded; 0 before the first."""
        with self._file.reading() as connection:
            return _cursor(connection, spool_id)

    def find(self, prediction_ids: Iterable[str]) -> dict[str, Awaited]:
        """Those of the predictions that are known, by their id."""
        with self._file.reading() as connection:
            return dict(_found(connection, prediction_ids))

    def forget(self, prediction_ids: Iterable[str]) -> None:
        """Know nothing of these predictions any more."""
        with self._file.writing() as connection:
            for prediction_id in prediction_ids:
                connection.execute("DELETE FROM awaiting WHERE prediction_id = ?", (prediction_id,))
                connection.execute("DELETE FROM labelled WHERE prediction_id = ?", (prediction_id,))
        self._file.checkpoint()

    def close(self) -> None:
        self._file.close()


def _add_prediction(connection: Connection, prediction: PredictionEntry) -> None:
    if prediction["prediction"] is None:
        return
    arm: Arm = {
        "request": prediction["request"],
        "unit": prediction["unit"],
        "version": prediction["version"],
        "role": prediction["role"],
        "weight": prediction["weight"],
        "salt": prediction["salt"],
        "key": prediction["key"],
        "prediction": prediction["prediction"],
        "event_time": prediction["event_time"],
    }
    connection.execute(
        "INSERT INTO awaiting (prediction_id, model, arms) VALUES (?, ?, ?) "
        "ON CONFLICT DO UPDATE SET arms = arms || excluded.arms",
        (
            prediction["prediction_id"],
            prediction["model"],
            orjson.dumps(arm, option=orjson.OPT_APPEND_NEWLINE).decode(),
        ),
    )


def _add_label(connection: Connection, label: LabelEntry) -> None:
    found = connection.execute(
        "INSERT INTO labelled SELECT prediction_id, ? FROM awaiting WHERE prediction_id = ? "
        "ON CONFLICT DO UPDATE SET at = excluded.at WHERE excluded.at >= at",
        (label["at"], label["prediction_id"]),
    )
    if found.rowcount:  # none that is known for longer, or of an erased prediction
        connection.execute(
            "UPDATE awaiting SET label = ? WHERE prediction_id = ?", (label["label"], label["prediction_id"])
        )


def _found(connection: Connection, prediction_ids: Iterable[str]) -> Iterator[tuple[str, Awaited]]:
    for prediction_id in prediction_ids:
        row = connection.execute(
            "SELECT model, arms, label, coalesce(at, 0) FROM awaiting LEFT JOIN labelled USING (prediction_id) "
            "WHERE prediction_id = ?",
            (prediction_id,),
        ).fetchone()
        if row is not None:
            model, arms, label, at = row
            yield prediction_id, Awaited(model, [orjson.loads(line) for line in arms.split("\n") if line], label, at)


def _cursor(connection: Connection, spool_id: str) -> int:
    found = connection.execute("SELECT number FROM cursors WHERE spool = ?", (spool_id,)).fetchone()
    return int(found[0]) if found else 0
