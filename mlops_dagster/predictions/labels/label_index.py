"""The index of predictions that await a label, each with the arms that scored it, also those that score later."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from hashlib import blake2b
from itertools import takewhile
from pathlib import Path
from sqlite3 import Connection
from typing import NamedTuple

import orjson

from mlops_dagster.predictions.encoded import Arm, LabelEntry, LateEntry, PredictionEntry
from mlops_dagster.predictions.records import ANSWERED
from mlops_dagster.predictions.spool.entries import Entry
from mlops_dagster.predictions.spool.sqlite import SqliteFile

_SCHEMA = """
CREATE TABLE IF NOT EXISTS awaiting (
    number INTEGER PRIMARY KEY, digest BLOB NOT NULL UNIQUE, request TEXT, received_at INTEGER NOT NULL,
    arms TEXT NOT NULL, label TEXT, labelled_at INTEGER NOT NULL DEFAULT 0, first_label TEXT, first_at INTEGER
);
CREATE TABLE IF NOT EXISTS repeated (model TEXT PRIMARY KEY, predictions INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS cursors (spool TEXT PRIMARY KEY, number INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS late (
    spool TEXT NOT NULL, number INTEGER NOT NULL, body BLOB NOT NULL, PRIMARY KEY (spool, number)
) WITHOUT ROWID
"""

# There is a row for every answer, so rows are kept small: model and id are a digest, and a request equal to the id is
# null. Rows are numbered as they come: the oldest are the first, without an index of times.

# The first request that was answered under an id holds it. Rows of another request change nothing, however many come.
_CLAIM = """
INSERT INTO awaiting (digest, request, received_at, arms) VALUES (?, ?, ?, ?)
ON CONFLICT (digest) DO UPDATE SET arms = arms || excluded.arms WHERE request IS excluded.request
"""
# An id has one holder: a request without a label here loses its id to a request of the log that has a label.
_ADOPT = """
INSERT INTO awaiting (digest, request, received_at, arms, label, labelled_at, first_label, first_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (digest) DO UPDATE SET request = excluded.request, received_at = excluded.received_at,
    arms = excluded.arms, label = excluded.label, labelled_at = excluded.labelled_at,
    first_label = excluded.first_label, first_at = excluded.first_at
WHERE awaiting.label IS NULL AND excluded.label IS NOT NULL
"""
_JOIN = "UPDATE awaiting SET arms = arms || ? WHERE digest = ? AND request IS ? RETURNING first_label, first_at, arms"

# Changes nothing if the label already there became known later, or if the prediction was erased (its id may be reused).
_LABEL = """
UPDATE awaiting SET label = ?1, labelled_at = ?2,
    first_label = coalesce(first_label, ?1), first_at = coalesce(first_at, ?2)
WHERE digest = ?3 AND request IS ?4 AND (label IS NULL OR labelled_at <= ?2)
"""

_PRUNED_AT_ONCE = 500  # takes a millisecond, for which a label being taken may have to wait


class Awaited(NamedTuple):
    """A prediction with the arms that scored it, and its valid label: the one that became known last."""

    request: str
    """The request that holds the id."""
    arms: list[Arm]
    label: str | None
    labelled_at: int  # microseconds, when it became known; 0 without one


class Adopted(NamedTuple):
    """A prediction as the log has it, with the last of its labels."""

    request: str
    arms: list[Arm]
    label: str | None
    labelled_at: int  # microseconds; 0 without one
    received_at: int


class LabelIndex:
    """An index of the spool's predictions for as long as they await labels, in a separate file, so it delays no answer.

    One prediction has one label. Clients choose ids, and some repeat them: the first request of a model that was
    answered under an id holds it, with the arms that scored this request. A row of any other request is not evidence
    for that id's label, and adds nothing here.

    The index is folded from the spool's entries, labels included, each exactly once: an entry of the spool can be found
    once `add` has seen it, and after a crash the next `add` repairs everything.

    An arm that scores after the first label has come is late: it is kept here until the spool has it as an entry.
    """

    def __init__(self, path: Path) -> None:
        # Synced with each batch: the spool frees entries that are here, so they must survive a loss of power.
        self._file = SqliteFile(path, _SCHEMA, "disk")

    def add(self, spool_id: str, entries: Iterable[Entry]) -> None:
        """Fold the entries that follow the spool's cursor; skip the others, which were folded before."""
        with self._file.writing() as connection:
            after = _cursor(connection, spool_id)
            new = [entry for entry in entries if entry.number > after]
            if not new:
                return
            repeated: Counter[str] = Counter()
            for entry in new:
                if entry.is_label:
                    _add_label(connection, entry.label())
                elif entry.sequence is not None:
                    prediction = entry.prediction()
                    if _repeats(connection, prediction):
                        repeated[prediction["model"]] += 1
                    if late := _joins_late(connection, prediction):
                        connection.execute(
                            "INSERT INTO late VALUES (?, ?, ?)", (spool_id, entry.number, orjson.dumps(late))
                        )
            connection.executemany(
                "INSERT INTO repeated VALUES (?, ?) "
                "ON CONFLICT DO UPDATE SET predictions = predictions + excluded.predictions",
                repeated.items(),
            )
            connection.execute("REPLACE INTO cursors VALUES (?, ?)", (spool_id, new[-1].number))

    def cursor(self, spool_id: str) -> int:
        """Return the number of the last entry that was folded; 0 before the first."""
        with self._file.reading() as connection:
            return _cursor(connection, spool_id)

    def late(self, spool_id: str) -> list[tuple[int, bytes]]:
        """Return the late arms still to be counted, each as (number of its entry, LateEntry as JSON)."""
        with self._file.reading() as connection:
            query = "SELECT number, body FROM late WHERE spool = ? ORDER BY number"
            return list(connection.execute(query, (spool_id,)))

    def late_is_kept(self, spool_id: str, number: int) -> None:
        """Delete the late arms up to `number`: the spool has them."""
        with self._file.writing() as connection:
            connection.execute("DELETE FROM late WHERE spool = ? AND number <= ?", (spool_id, number))

    def find(self, model: str, prediction_ids: Iterable[str]) -> dict[str, Awaited]:
        """Return the model's predictions that are known, by id."""
        with self._file.reading() as connection:
            return dict(_found(connection, model, prediction_ids))

    def repeated(self) -> Mapping[str, int]:
        """Return, by model, how many answered predictions ever came under an id that another request held already."""
        with self._file.reading() as connection:
            return dict(connection.execute("SELECT model, predictions FROM repeated").fetchall())

    def forget(self, model: str, predictions: Iterable[tuple[str, str]]) -> None:
        """Forget these predictions of a model, each given as (id, request); their ids are free again."""
        with self._file.writing() as connection:
            connection.executemany(
                "DELETE FROM awaiting WHERE digest = ? AND request IS ?",
                (_key(model, prediction_id, request) for prediction_id, request in predictions),
            )

    def purge(self) -> None:
        """Overwrite every byte of the predictions that were forgotten."""
        self._file.purge()

    def prune(self, before: int) -> int:
        """Forget the oldest predictions, received before `before` (microseconds); return how many.

        Call it again until it returns 0: between two calls others may write.
        """
        with self._file.writing() as connection:
            first = connection.execute(
                "SELECT number, received_at FROM awaiting ORDER BY number LIMIT ?", (_PRUNED_AT_ONCE,)
            )
            old = [number for number, _ in takewhile(lambda row: row[1] < before, first)]
            if old:
                connection.execute("DELETE FROM awaiting WHERE number <= ?", (old[-1],))
        return len(old)

    def adopt(self, model: str, found: Mapping[str, Adopted]) -> None:
        """Add predictions that were answered elsewhere, by id, as if they had been answered here.

        For an id that is known here, the log's prediction replaces it only if that has a label and the one here has
        none.
        """
        with self._file.writing() as connection:
            for prediction_id, (request, arms, label, labelled_at, received_at) in found.items():
                labelled = (label, labelled_at, label, None if label is None else labelled_at)
                lines = "".join(map(_line, arms))
                connection.execute(_ADOPT, (*_key(model, prediction_id, request), received_at, lines, *labelled))

    def close(self) -> None:
        self._file.close()


def _repeats(connection: Connection, prediction: PredictionEntry) -> bool:
    """Fold an answer; return whether its id is held by another request.

    A request whose answer failed holds no id: its client got no prediction, and may ask again under the same id.
    """
    if prediction["role"] not in ANSWERED or prediction["prediction"] is None:
        return False
    line = _line(_arm(prediction, prediction["prediction"]))
    key = _key(prediction["model"], prediction["prediction_id"], prediction["request"])
    return connection.execute(_CLAIM, (*key, prediction["received_at"], line)).rowcount == 0


def _joins_late(connection: Connection, prediction: PredictionEntry) -> LateEntry | None:
    """Fold a scoring off the response path, which comes after the answer; return it as late if a label came earlier."""
    if prediction["role"] in ANSWERED or prediction["prediction"] is None:
        return None
    line = _line(_arm(prediction, prediction["prediction"]))
    request = prediction["request"]
    key = _key(prediction["model"], prediction["prediction_id"], request)
    joined = connection.execute(_JOIN, (line, *key)).fetchone()
    if joined is None or joined[0] is None:
        return None
    first_label, first_at, lines = joined
    *beside, late = _arms(request, lines)
    return {"late": late, "beside": beside, "model": prediction["model"], "label": first_label, "at": first_at}


def _arm(prediction: PredictionEntry, predicted: str) -> Arm:
    return {
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


def _line(arm: Arm) -> str:
    """Encode an arm as a line of JSON: compactly, without names, and without the request, which has a column."""
    _request, *values = arm.values()
    return orjson.dumps(values, option=orjson.OPT_APPEND_NEWLINE).decode()


def _arms(request: str, lines: str) -> list[Arm]:
    arms = (orjson.loads(line) for line in lines.split("\n") if line)
    return [
        {
            "request": request,
            "unit": unit,
            "version": version,
            "role": role,
            "weight": weight,
            "salt": salt,
            "key": key,
            "prediction": prediction,
            "event_time": event_time,
        }
        for unit, version, role, weight, salt, key, prediction, event_time in arms
    ]


def _key(model: str, prediction_id: str, request: str) -> tuple[bytes, str | None]:
    return _digest(model, prediction_id), None if request == prediction_id else request


def _digest(model: str, prediction_id: str) -> bytes:
    """Return an id's digest that keeps consecutive ids adjacent: random places would each cost an index page."""
    start, end = prediction_id[:-8], prediction_id[-8:]
    return blake2b(f"{model} {start}".encode(), digest_size=12).digest() + end.encode()  # no model's name has a space


def _add_label(connection: Connection, label: LabelEntry) -> None:
    key = _key(label["model"], label["prediction_id"], label["request"])
    connection.execute(_LABEL, (label["label"], label["at"], *key))


def _found(connection: Connection, model: str, prediction_ids: Iterable[str]) -> Iterator[tuple[str, Awaited]]:
    for prediction_id in prediction_ids:
        row = connection.execute(
            "SELECT coalesce(request, ?), arms, label, labelled_at FROM awaiting WHERE digest = ?",
            (prediction_id, _digest(model, prediction_id)),
        ).fetchone()
        if row is not None:
            request, arms, label, at = row
            yield prediction_id, Awaited(request, _arms(request, arms), label, at)


def _cursor(connection: Connection, spool_id: str) -> int:
    found = connection.execute("SELECT number FROM cursors WHERE spool = ?", (spool_id,)).fetchone()
    return int(found[0]) if found else 0
