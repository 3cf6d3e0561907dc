"""Completeness: is everything that was answered in the log?

Who knows the last number, if the newest records are lost? The spool's table of processes, which is written with each
record. If the whole spool file is lost: the log's tables, which keep the last number they were given of each process,
and the rollups, which keep how far they have counted which spool. What was lost with the spool before it was counted
or shipped (a second or two) nobody knows any more; nor, of the labels' table, whether its newest rows were cut off.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from mlops_dagster.predictions.erasures import Erasures, Held, gather
from mlops_dagster.predictions.log import PredictionLog, process_transaction
from mlops_dagster.predictions.records import ANSWERED
from mlops_dagster.predictions.runs import Runs
from mlops_dagster.predictions.spool import Spool


@dataclass(frozen=True, slots=True)
class ProcessAudit:
    """The records of one process, numbered from 1; `gaps` are first and last number of what is nowhere."""

    process: str
    recorded: int
    logged: int
    spooled: int  # not in the log yet
    erased: int
    twice: int
    gaps: tuple[tuple[int, int], ...]
    in_spool: bool  # the spool knows the process; of others `recorded` is what the log was given


@dataclass(frozen=True, slots=True)
class AuditReport:
    """`answered` rows were acknowledged to clients; `logged` of them are in the log, `spooled` on their way there,
    `erased` taken out by an erasure that is on record.

    Of processes that the spool does not know, those rows are taken for answered that the log was given.
    """

    processes: tuple[ProcessAudit, ...]
    answered: int
    logged: int
    spooled: int
    erased: int
    problems: tuple[str, ...]
    """What is wrong beside gaps and doubles, in words."""

    @property
    def gaps(self) -> tuple[tuple[str, int, int], ...]:
        """(process, first, last) of every run of missing records."""
        return tuple((audit.process, *gap) for audit in self.processes for gap in audit.gaps)

    @property
    def twice(self) -> int:
        return sum(audit.twice for audit in self.processes)

    @property
    def complete(self) -> bool:
        """Every answered row is in the log or on its way, once, or was erased; and nothing points to a loss."""
        accounted = self.answered == self.logged + self.spooled + self.erased
        return accounted and not self.gaps and not self.twice and not self.problems


def audit(spool: Spool, log: PredictionLog, counted: Mapping[str, int] | None = None) -> AuditReport:
    """Compare what each process recorded with what the log and the spool hold. Serving may go on meanwhile.

    `counted` is how far the rollups have which spool (`Rollups.cursors`). Memory is that of one batch of rows, and of
    the gaps. Raises StorageError if the log cannot be read now.
    """
    # In this order: what is recorded later has higher numbers than were noted first, and what is shipped meanwhile
    # is found in the log.
    noted = {process.process: process for process in spool.processes()}
    shipped, last_entry = spool.marked("shipped"), spool.last_number()
    waiting = _waiting(spool, shipped)
    erasures = Erasures.read(log)
    logged, problems = _logged(log)
    known = sorted({*noted, *logged, *erasures.by_process})
    reached = log.transactions([spool.id, *(counted or {}), *map(process_transaction, known)])

    audits = []
    answered, answers = 0, {"logged": 0, "spooled": 0, "erased": 0}
    for process in known:
        in_spool = process in noted
        recorded = (
            noted[process].sequence
            if in_spool
            else max([reached.get(process_transaction(process), 0), *(last for _, last in logged[process].all)])
        )
        numbers = Runs.between(1, recorded)
        places = {"logged": logged[process], "spooled": waiting[process], "erased": erasures.by_process[process]}
        held, its_answers = {}, {}
        for place, there in places.items():  # what is in two of them, on its way or half erased, counts in the first
            held[place] = there.all & numbers
            its_answers[place] = len(there.answers & numbers)
            numbers = numbers - there.all
            answers[place] += its_answers[place]
        audits.append(
            ProcessAudit(
                process=process,
                recorded=recorded,
                logged=len(held["logged"]),
                spooled=len(held["spooled"]),
                erased=len(held["erased"]),
                twice=logged[process].rows - len(logged[process].all),
                gaps=tuple(numbers),
                in_spool=in_spool,
            )
        )
        answered += noted[process].answered if in_spool else sum(its_answers.values())
    problems += _lost_tails(spool.id, shipped, last_entry, reached, counted or {})
    problems += erasures.unfinished({process: held.all for process, held in logged.items()})
    return AuditReport(tuple(audits), answered=answered, problems=tuple(problems), **answers)


def _waiting(spool: Spool, after: int) -> defaultdict[str, Held]:
    """What is not shipped yet."""
    waiting: defaultdict[str, Held] = defaultdict(Held)
    while entries := spool.read(after):
        found: defaultdict[tuple[str, bool], list[int]] = defaultdict(list)
        for entry in entries:
            if entry.sequence is not None:
                prediction = entry.prediction()
                found[prediction["process"], prediction["role"] in ANSWERED].append(entry.sequence)
        for (process, is_answer), numbers in found.items():
            waiting[process].add(numbers, is_answer=is_answer)
        after = entries[-1].number
    return waiting


def _logged(log: PredictionLog) -> tuple[defaultdict[str, Held], list[str]]:
    """What the log holds, and the files that it should hold and does not."""
    import pyarrow as pa

    logged: defaultdict[str, Held] = defaultdict(Held)
    problems = []
    for model in log.models():
        with log.prediction_rows(model) as dataset:
            for file in dataset.get_fragments():
                try:
                    for batch in file.to_batches(columns=["process", "sequence", "role"]):
                        gather(logged, batch)
                except (FileNotFoundError, pa.ArrowInvalid) as error:
                    reason = "gone" if isinstance(error, FileNotFoundError) else "damaged"
                    problems.append(f"the file {file.path} of {model} is {reason}")
    return logged, problems


def _lost_tails(
    spool_id: str, shipped: int, last_entry: int, reached: Mapping[str, int], counted: Mapping[str, int]
) -> list[str]:
    """Where one store knows of higher numbers of entries than another that must have them."""
    in_log, rolled_up = reached.get(spool_id, 0), counted.get(spool_id, 0)
    problems = []
    if in_log < shipped:
        problems.append(f"the log's newest commits are gone: it was given entries up to {shipped}, and has {in_log}")
    if last_entry < max(in_log, rolled_up):
        problems.append(
            f"the spool's newest entries are gone, or it is an old copy: it ends at {last_entry}, "
            f"and up to {max(in_log, rolled_up)} were shipped or counted"
        )
    for lost_id, number in counted.items():
        if lost_id != spool_id and number > reached.get(lost_id, 0):
            problems.append(
                f"a spool that is gone ({lost_id}) had entries up to {number}, and the log has them up to "
                f"{reached.get(lost_id, 0)} only"
            )
    return problems
