"""Counts per minute and hour of everything that was served: what operations and decisions read."""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from sqlite3 import Connection

import numpy as np

from mlops_dagster.errors import InvalidInputError
from mlops_dagster.predictions.latency import LatencySummary, summarize
from mlops_dagster.predictions.records import Role, from_microseconds, microseconds
from mlops_dagster.predictions.rollup_tables import CELL_TYPE, SCHEMA, add_tally
from mlops_dagster.predictions.spool import Spool
from mlops_dagster.predictions.sqlite import SqliteFile
from mlops_dagster.predictions.tally import HOUR, MINUTE, BinsOf, SlowMsOf, tally
from mlops_dagster.statistics import Counts

_ENTRIES_AT_ONCE = 5_000
DEFAULT_SLOW_MS = 200.0


@dataclass(frozen=True, slots=True)
class EventCounts:
    """Events of one version in one role at one weight.

    `bad_errors`, `bad_slow` and `bad_wrong` leave out all but the first of each routing key in a rollout: the
    independent events that e-values need. `errors`, `slow` and `wrong` are all of them.
    """

    version: str
    role: Role
    weight: float
    requests: int
    errors: int
    slow: int
    labelled: int
    wrong: int
    bad_errors: int
    bad_slow: int
    bad_wrong: int


@dataclass(frozen=True, slots=True)
class PairedCounts:
    """Labelled rows that both versions scored. A win is the challenger right and the champion wrong."""

    wins: int
    losses: int
    ties: int
    first_loss_at: datetime | None = None


class Rollups:
    """Folds a spool, each entry exactly once: the cursor moves in the transaction that adds the counts.

    Windows are [since, until) in event time (of pairs: in the time the label became known), widened to whole minutes,
    for feature counts to whole hours.
    """

    def __init__(self, path: Path) -> None:
        self._file = SqliteFile(path, SCHEMA)

    def catch_up(self, spool: Spool, bins_of: BinsOf, *, slow_ms_of: SlowMsOf = lambda _model: DEFAULT_SLOW_MS) -> int:
        """Add all that is in the spool; returns the number of the last entry rolled up. Several processes may try."""
        while True:
            with self._file.writing() as connection:
                number = _cursor(connection, spool.id)
                entries = spool.read(number, _ENTRIES_AT_ONCE)
                if entries:
                    number = entries[-1].number
                    add_tally(connection, tally(entries, bins_of, slow_ms_of))
                    connection.execute("REPLACE INTO cursors VALUES (?, ?)", (spool.id, number))
            if entries:
                spool.mark("rolled_up", number)
            if len(entries) < _ENTRIES_AT_ONCE:
                return number

    def events(self, model: str, since: datetime, until: datetime) -> list[EventCounts]:
        """What happened, per version, role and weight."""
        with self._file.reading() as connection:
            rows = connection.execute(
                "SELECT version, role, weight, sum(requests), sum(errors), sum(slow), sum(labelled), sum(wrong), "
                "sum(bad_errors), sum(bad_slow), sum(bad_wrong) FROM arms JOIN minutes ON arm = id "
                "WHERE model = ? AND minute BETWEEN ? AND ? GROUP BY id ORDER BY version, role, weight",
                (model, *_window(since, until, MINUTE)),
            )
            return [EventCounts(*row) for row in rows]

    def paired(self, model: str, champion: str, challenger: str, since: datetime, until: datetime) -> PairedCounts:
        """The challenger against the champion on the same rows."""
        with self._file.reading() as connection:
            wins, losses, ties, first = connection.execute(
                "SELECT coalesce(sum(wins), 0), coalesce(sum(losses), 0), coalesce(sum(ties), 0), min(first_loss_at) "
                "FROM paired WHERE model = ? AND champion = ? AND challenger = ? AND minute BETWEEN ? AND ?",
                (model, champion, challenger, *_window(since, until, MINUTE)),
            ).fetchone()
        return PairedCounts(wins, losses, ties, None if first is None else from_microseconds(first))

    def first_bad_at(self, model: str, version: str, since: datetime) -> datetime | None:
        """The first failed request of a version, or the first label that made it lose to the champion."""
        start = microseconds(since)
        with self._file.reading() as connection:
            first = connection.execute(
                "SELECT min(at) FROM ("
                "SELECT min(first_error_at) AS at FROM arms JOIN minutes ON arm = id "
                "WHERE model = :model AND version = :version AND minute >= :minute UNION ALL "
                "SELECT min(first_loss_at) FROM paired "
                "WHERE model = :model AND challenger = :version AND minute >= :minute)",
                {"model": model, "version": version, "minute": start // MINUTE},
            ).fetchone()[0]
        return None if first is None else from_microseconds(first)

    def first_at(self, model: str) -> datetime | None:
        """The minute of the first request to a model; None if there was none."""
        with self._file.reading() as connection:
            first = connection.execute(
                "SELECT min(minute) FROM arms JOIN minutes ON arm = id WHERE model = ?", (model,)
            ).fetchone()[0]
        return None if first is None else from_microseconds(first * MINUTE)

    def feature_counts(
        self, model: str, versions: Sequence[str] | None, since: datetime, until: datetime
    ) -> dict[str, Counts]:
        """Counts of every feature and of "score" in what the split served, added over versions (None: all).

        Raises InvalidInputError when the versions were counted in different bins.
        """
        total: dict[str, Counts] = {}
        bins_seen: dict[str, str] = {}
        with self._file.reading() as connection:
            rows = connection.execute(
                "SELECT feature, bins, counts, version FROM served_arms JOIN cells ON arm = id WHERE model = ? "
                "AND hour BETWEEN ? AND ?",
                (model, *_window(since, until, HOUR)),
            )
            for feature, bins, counts, version in rows:
                if versions is not None and version not in versions:
                    continue
                if bins_seen.setdefault(feature, bins) != bins:
                    raise InvalidInputError(
                        f"{feature!r} of {model} was counted in different bins by version {version} and another; "
                        "ask for the versions of one schema"
                    )
                cells = np.frombuffer(counts, dtype=CELL_TYPE).astype(np.int64)
                total[feature] = total[feature] + cells if feature in total else cells
        return total

    def label_counts(self, model: str, since: datetime, until: datetime) -> dict[str, int]:
        """How often each label came, over what the split served in the window."""
        counts: Counter[str] = Counter()
        for (label, _), n in self.confusion(model, None, since, until).items():
            counts[label] += n
        return dict(counts)

    def confusion(
        self, model: str, version: str | None, since: datetime, until: datetime
    ) -> dict[tuple[str, str], int]:
        """(label, prediction) -> count, of what the split served in the window and has a label (version None: all)."""
        with self._file.reading() as connection:
            rows = connection.execute(
                "SELECT label, prediction, sum(n) FROM served_arms JOIN confusion ON arm = id "
                "WHERE model = ? AND (version = ? OR ? IS NULL) AND minute BETWEEN ? AND ? "
                "GROUP BY label, prediction ORDER BY label, prediction",
                (model, version, version, *_window(since, until, MINUTE)),
            )
            return {(label, prediction): n for label, prediction, n in rows}

    def latency(self, model: str, version: str | None, since: datetime, until: datetime) -> LatencySummary | None:
        """Latency of what the split served (version None: all); None if nothing was."""
        with self._file.reading() as connection:
            rows = connection.execute(
                "SELECT bucket, sum(n) FROM served_arms JOIN latencies ON arm = id "
                "WHERE model = ? AND (version = ? OR ? IS NULL) AND minute BETWEEN ? AND ? "
                "GROUP BY bucket",
                (model, version, version, *_window(since, until, MINUTE)),
            )
            return summarize(dict(rows))

    def cursors(self) -> dict[str, int]:
        """How far which spool was rolled up, by the spool's id: a spool that is lost stays known here."""
        with self._file.reading() as connection:
            return dict(connection.execute("SELECT spool, number FROM cursors").fetchall())

    def forget_keys(self, model: str, keys: Collection[str]) -> None:
        """Remove routing keys; what was counted of them stays counted."""
        with self._file.writing() as connection:
            connection.executemany("DELETE FROM bad_keys WHERE model = ? AND key = ?", ((model, key) for key in keys))

    def close(self) -> None:
        self._file.close()


def _window(since: datetime, until: datetime, unit: int) -> tuple[int, int]:
    """First and last unit that [since, until) touches."""
    return microseconds(since) // unit, (microseconds(until) - 1) // unit


def _cursor(connection: Connection, spool_id: str) -> int:
    found = connection.execute("SELECT number FROM cursors WHERE spool = ?", (spool_id,)).fetchone()
    return int(found[0]) if found else 0
