"""Completeness audit of the prediction log: is every row that was answered in the log?

The newest records may be lost together with the number of the last one, so that number is kept in several places. The
spool counts the records of each process and model, in the transaction that writes them. For a spool that is lost or on
another machine, the audit uses its last heartbeat, which is kept with the rollups, and the last number of each process
that the log's tables keep. Two losses cannot be detected: rows that a lost spool answered after its last heartbeat (a
second or two) and did not ship; and newest rows cut off the labels' table.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

from mlops_dagster.errors import AlreadyRunningError
from mlops_dagster.predictions.erasure.erasure_log import Erasures, Held, Source
from mlops_dagster.predictions.intervals import IntervalSet
from mlops_dagster.predictions.log.log import PredictionLog
from mlops_dagster.predictions.log.maintenance import maintaining
from mlops_dagster.predictions.records import ANSWERED
from mlops_dagster.predictions.rollups.heartbeats import Heartbeat, home_of
from mlops_dagster.predictions.rollups.rollups import Rollups
from mlops_dagster.predictions.spool.entries import Entry
from mlops_dagster.predictions.spool.spool import Spool

if TYPE_CHECKING:
    from mlops_dagster.predictions.log.logged import Logged

KnownBy: TypeAlias = Literal["spool", "heartbeat", "log"]


class Places(NamedTuple):
    """The number of records in each place; a record in two places (on its way, or half erased) counts in the first."""

    logged: int
    spooled: int  # not in the log yet: in this spool, or at a replica with a recent heartbeat
    erased: int


@dataclass(frozen=True, slots=True)
class ProcessAudit:
    """The records of one process and model, numbered from 1; `gaps` are (first, last) numbers of those not found."""

    process: str
    model: str
    recorded: int
    answered: int
    records: Places
    answers: Places
    """The places of those of the records that stand for a row of a client (roles `ANSWERED`)."""
    twice: int
    gaps: tuple[tuple[int, int], ...]
    known_by: KnownBy
    """The source of `recorded`; for "log" it is the last number that the log was given."""


@dataclass(frozen=True, slots=True)
class AuditReport:
    """The result of an audit, over all processes.

    `answered` rows were acknowledged to clients; `logged` of them are in the log, `spooled` on their way to it,
    `erased` taken out by an erasure that is on record.

    For a process that only the log knows, the rows that the log was given count as answered.
    """

    processes: tuple[ProcessAudit, ...]
    problems: tuple[str, ...]
    """Problems other than gaps and doubled rows, as sentences."""

    @property
    def answered(self) -> int:
        return sum(audit.answered for audit in self.processes)

    @property
    def logged(self) -> int:
        return sum(audit.answers.logged for audit in self.processes)

    @property
    def spooled(self) -> int:
        return sum(audit.answers.spooled for audit in self.processes)

    @property
    def erased(self) -> int:
        return sum(audit.answers.erased for audit in self.processes)

    @property
    def gaps(self) -> tuple[tuple[str, str, int, int], ...]:
        """The runs of missing records, each as (process, model, first, last)."""
        return tuple((audit.process, audit.model, *gap) for audit in self.processes for gap in audit.gaps)

    @property
    def twice(self) -> int:
        return sum(audit.twice for audit in self.processes)

    @property
    def complete(self) -> bool:
        """True if every answered row is in the log or on its way, once, or was erased, and nothing points to a loss."""
        accounted = self.answered == self.logged + self.spooled + self.erased
        return accounted and not self.gaps and not self.twice and not self.problems


def audit(spool: Spool, log: PredictionLog, rollups: Rollups | None = None) -> AuditReport:
    """Compare the records of each process with the rows of the log and the spool.

    Serving, shipping, compacting and erasing may go on meanwhile. `rollups` tell of other spools. Memory use is that of
    one batch of rows, and of the gaps. Raises StorageError if something cannot be read now.
    """
    from mlops_dagster.predictions.log.logged import read_log

    # The order of the reads keeps the report true while rows move. A row goes from the spool to the log, and is noted
    # as erased before it leaves the log: each place is read before the next one, so a row that moves meanwhile is found
    # in one of them. Of two numbers of which one is never smaller than the other, the larger is read last.
    counted = rollups.cursors().get(spool.id, 0) if rollups is not None else 0
    others = [each for each in rollups.heartbeats() if each.state.spool != spool.id] if rollups is not None else []
    noted = {(count.model, count.process): count for count in spool.processes()}
    heard = {(count.model, count.process): (count, each) for each in others for count in each.state.processes}
    shipped, held_back = spool.marks.get("shipped"), spool.held.last_number()
    waiting = _waiting(spool, shipped)
    logged = read_log(log, {*noted, *heard}, [spool.id, *(each.state.spool for each in others)])
    erasures = Erasures.read(log)
    last_entry = spool.last_number()

    home = home_of(spool)
    audits, problems = [], list(logged.problems)
    for source in sorted({*noted, *heard, *logged.held, *erasures.by_source}):
        held = _Held(logged.held[source], waiting[source], erasures.by_source[source])
        given = logged.given[source]
        if source in noted:
            audits.append(_account(source, held, noted[source].sequence, noted[source].answered, "spool"))
        elif source in heard:
            count, heartbeat = heard[source]
            # Since its heartbeat the replica may have recorded and shipped more, or still hold what it had not shipped.
            recorded = max(count.sequence, given, held.last_logged)
            answered = count.answered + held.answers_between(count.sequence + 1, recorded)
            waits = IntervalSet.between(max(count.shipped, given) + 1, count.sequence)
            alive = heartbeat.may_ship(home)
            audits.append(_account(source, held, recorded, answered, "heartbeat", waits if alive else IntervalSet()))
            if not alive:
                problems += _never_shipped(audits[-1], waits, heartbeat)
        else:
            recorded = max(given, held.last_logged)
            audits.append(_account(source, held, recorded, held.answers_between(1, recorded), "log"))
    # Entries that are held back are not in the log, and are not lost.
    problems += _lost_tails(shipped, max(logged.reached[spool.id], held_back), counted, last_entry)
    problems += _lost_labels([each for each in others if not each.may_ship(home)], logged.reached)
    problems += [f"{loss}; what of that is not in the log is gone" for loss in spool.losses()]
    problems += _unfinished_erasures(log, erasures, logged)
    return AuditReport(tuple(audits), tuple(problems))


def _waiting(spool: Spool, after: int) -> defaultdict[Source, Held]:
    """Return the records of `spool` after entry `after` that the log does not have yet, by process and model."""
    waiting: defaultdict[Source, Held] = defaultdict(Held)
    for entries in _not_in_log(spool, after):
        found: defaultdict[tuple[Source, bool], list[int]] = defaultdict(list)
        for entry in entries:
            if entry.sequence is not None:
                prediction = entry.prediction()
                source = prediction["model"], prediction["process"]
                found[source, prediction["role"] in ANSWERED].append(entry.sequence)
        for (source, is_answer), numbers in found.items():
            waiting[source].add(numbers, is_answer=is_answer)
    return waiting


def _not_in_log(spool: Spool, after: int) -> Iterator[Sequence[Entry]]:
    """Yield the entries that were not shipped, then those held back: an entry may move from the first to the second."""
    while entries := spool.read(after):
        yield entries
        after = entries[-1].number
    for table in spool.held.reasons():
        after = 0
        while entries := spool.held.read(table, after):
            yield entries
            after = entries[-1].number


class _Held(NamedTuple):
    """The records of one process and model, by the place where they are."""

    logged: Held
    waiting: Held
    erased: Held

    @property
    def last_logged(self) -> int:
        return max((last for _, last in self.logged.all), default=0)

    def answers_between(self, first: int, last: int) -> int:
        """Return how many answers with numbers `first` to `last` are in the log, or were before an erasure."""
        return len((self.logged.answers | self.erased.answers) & IntervalSet.between(first, last))


def _account(
    source: Source,
    held: _Held,
    recorded: int,
    answered: int,
    known_by: KnownBy,
    waits_elsewhere: IntervalSet | None = None,
) -> ProcessAudit:
    """Locate records 1 to `recorded` by place; `waits_elsewhere` are those that another replica may still hold."""
    left = IntervalSet.between(1, recorded)
    records, answers = [], []
    for place in held:
        records.append(len(place.all & left))
        answers.append(len(place.answers & left))
        left = left - place.all
    coming = len(left & waits_elsewhere) if waits_elsewhere is not None else 0
    logged, spooled, erased = answers
    coming_answers = min(coming, max(answered - sum(answers), 0))
    model, process = source
    return ProcessAudit(
        process=process,
        model=model,
        recorded=recorded,
        answered=answered,
        records=Places(records[0], records[1] + coming, records[2]),
        answers=Places(logged, spooled + coming_answers, erased),
        twice=held.logged.rows - len(held.logged.all),
        gaps=tuple(left - waits_elsewhere if waits_elsewhere is not None else left),
        known_by=known_by,
    )


def _never_shipped(audit: ProcessAudit, waited: IntervalSet, heartbeat: Heartbeat) -> list[str]:
    """Describe the records lost with a spool, by number; `waited` are those not shipped as of its last heartbeat."""
    lost = IntervalSet.from_pairs(audit.gaps) & waited
    if not len(lost):
        return []
    answers = min(len(lost), audit.answered - sum(audit.answers))
    numbers = ", ".join(f"{first}-{last}" if last > first else str(first) for first, last in lost)
    rows = f"{answers} of {audit.answered} answered rows of {audit.model}, numbers {numbers}"
    return [f"replica {audit.process}: {rows}, were never shipped; its home {_told(heartbeat)}"]


def _lost_labels(lost: list[Heartbeat], reached: Mapping[str, int]) -> list[str]:
    return [
        f"a spool had entries up to {each.state.number}, predictions and labels, and the log has them up to "
        f"{reached[each.state.spool]} only; its home {_told(each)}"
        for each in lost
        if each.state.number > reached[each.state.spool]
    ]


def _told(heartbeat: Heartbeat) -> str:
    return f"({heartbeat.state.home}) was last heard of at {heartbeat.at:%Y-%m-%d %H:%M:%S} UTC"


def _lost_tails(shipped: int, in_log: int, counted: int, last_entry: int) -> list[str]:
    """Describe stores that end before the highest entry number of this spool that another store has seen."""
    problems = []
    if in_log < shipped:
        problems.append(f"the log's newest commits are gone: it was given entries up to {shipped}, and has {in_log}")
    if last_entry < max(in_log, counted):
        problems.append(
            f"the spool's newest entries are gone, or it is an old copy: it ends at {last_entry}, "
            f"and up to {max(in_log, counted)} were shipped or counted"
        )
    return problems


def _unfinished_erasures(log: PredictionLog, erasures: Erasures, logged: "Logged") -> list[str]:
    """Describe erasures that died; none while the lease of the log is held, as one may be under way."""
    from mlops_dagster.predictions.log.logged import read_log

    if not erasures.unfinished(_numbers(logged)):
        return []
    try:
        with maintaining(log.place):
            return Erasures.read(log).unfinished(_numbers(read_log(log, (), ())))
    except AlreadyRunningError:
        return []


def _numbers(logged: "Logged") -> dict[Source, IntervalSet]:
    return {source: held.all for source, held in logged.held.items()}
