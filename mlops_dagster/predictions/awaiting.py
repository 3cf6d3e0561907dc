"""Which arms have scored a prediction: what its label, when it comes, is evidence for."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from sqlite3 import Connection
from typing import NamedTuple

import orjson

from mlops_dagster.predictions.entries import Entry
from mlops_dagster.predictions.records import ANSWERED, Arm, LabelEntry, PredictionEntry
from mlops_dagster.predictions.sqlite import SqliteFile

_SCHEMA = """
CREATE TABLE IF NOT EXISTS awaiting (
    model TEXT NOT NULL, prediction_id TEXT NOT NULL, request TEXT NOT NULL, arms TEXT NOT NULL,
    label TEXT, labelled_at INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (model, prediction_id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS repeated (model TEXT PRIMARY KEY, predictions INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS cursors (spool TEXT PRIMARY KEY, number INTEGER NOT NULL) WITHOUT ROWID
"""

# An id is held by the request it was answered to first. Rows of another request change nothing, however many come.
_CLAIM = """
INSERT INTO awaiting (model, prediction_id, request, arms) VALUES (?, ?, ?, ?)
ON CONFLICT DO UPDATE SET arms = arms || excluded.arms WHERE request = excluded.request
"""
_JOIN = "UPDATE awaiting SET arms = arms || ? WHERE model = ? AND prediction_id = ? AND request = ?"


class Awaited(NamedTuple):
    """A prediction with the arms that scored it, and the label that holds: of those there are, the last to be known."""

    request: str
    """The one that holds the id."""
    arms: list[Arm]
    label: str | None
    labelled_at: int  # microseconds, when it became known; 0 without one


class Awaiting:
    """An index over everything a spool ever held, in a file of its own: making it holds up no answer.

    One prediction has one label. Clients choose ids, and some repeat them: the first request of a model that was
    answered under an id holds it, with the arms that scored this request. A row of any other request is no evidence
    of that id's label, and adds nothing here.

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
            repeated: Counter[str] = Counter()
            for entry in new:
                if entry.is_shed:
                    continue
                if entry.sequence is None:
                    _add_label(connection, entry.label())
                elif _repeats(connection, prediction := entry.prediction()):
                    repeated[prediction["model"]] += 1
            connection.executemany(
                "INSERT INTO repeated VALUES (?, ?) "
                "ON CONFLICT DO UPDATE SET predictions = predictions + excluded.predictions",
                repeated.items(),
            )
            connection.execute("REPLACE INTO cursors VALUES (?, ?)", (spool_id, new[-1].number))

    def cursor(self, spool_id: str) -> int:
        """The number of the last entry that was folded; 0 before the first."""
        with self._file.reading() as connection:
            return _cursor(connection, spool_id)

    def find(self, model: str, prediction_ids: Iterable[str]) -> dict[str, Awaited]:
        """Those of the model's predictions that are known, by their id."""
        with self._file.reading() as connection:
            return dict(_found(connection, model, prediction_ids))

    def repeated(self) -> Mapping[str, int]:
        """By model, how many answered predictions there ever were whose id another request held already."""
        with self._file.reading() as connection:
            return dict(connection.execute("SELECT model, predictions FROM repeated").fetchall())

    def forget(self, model: str, predictions: Iterable[tuple[str, str]]) -> None:
        """Know nothing of these predictions any more, each given as (id, request); the ids are free again."""
        with self._file.writing() as connection:
            connection.executemany(
                "DELETE FROM awaiting WHERE model = ? AND prediction_id = ? AND request = ?",
                ((model, *prediction) for prediction in predictions),
            )
        self._file.checkpoint()

    def close(self) -> None:
        self._file.close()


def _repeats(connection: Connection, prediction: PredictionEntry) -> bool:
    """Fold a prediction; returns whether it was answered under an id that is another request's.

    What was scored beside an answer comes after it. A request whose answer failed holds no id: its client knows no
    prediction of ours, and may ask again under the same id.
    """
    if prediction["prediction"] is None:
        return False
    model, prediction_id, request = prediction["model"], prediction["prediction_id"], prediction["request"]
    arm = _line(prediction, prediction["prediction"])
    if prediction["role"] in ANSWERED:
        return connection.execute(_CLAIM, (model, prediction_id, request, arm)).rowcount == 0
    connection.execute(_JOIN, (arm, model, prediction_id, request))
    return False


def _line(prediction: PredictionEntry, predicted: str) -> str:
    """The arm as a line of JSON."""
    arm: Arm = {
        "request": prediction["request"],
        "unit": prediction["unit"],
        "version": prediction["version"],
        "role": prediction["role"],
        "weight": prediction["weight"],
        "salt": prediction["salt"],
        "key": prediction["key"],
        "prediction": predicted,
        "event_time": prediction["event_time"],
    }
    return orjson.dumps(arm, option=orjson.OPT_APPEND_NEWLINE).decode()


def _add_label(connection: Connection, label: LabelEntry) -> None:
    """Unless one that is known for longer holds, or the prediction was erased, its id perhaps used again."""
    connection.execute(
        "UPDATE awaiting SET label = ?, labelled_at = ? "
        "WHERE model = ? AND prediction_id = ? AND request = ? AND (label IS NULL OR labelled_at <= ?)",
        (label["label"], label["at"], label["model"], label["prediction_id"], label["request"], label["at"]),
    )


def _found(connection: Connection, model: str, prediction_ids: Iterable[str]) -> Iterator[tuple[str, Awaited]]:
    for prediction_id in prediction_ids:
        row = connection.execute(
            "SELECT request, arms, label, labelled_at FROM awaiting WHERE model = ? AND prediction_id = ?",
            (model, prediction_id),
        ).fetchone()
        if row is not None:
            request, arms, label, at = row
            yield prediction_id, Awaited(request, [orjson.loads(line) for line in arms.split("\n") if line], label, at)


def _cursor(connection: Connection, spool_id: str) -> int:
    found = connection.execute("SELECT number FROM cursors WHERE spool = ?", (spool_id,)).fetchone()
    return int(found[0]) if found else 0
