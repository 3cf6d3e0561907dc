"""Completeness: is everything that was answered in the log?"""

from collections import defaultdict
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mlops_dagster.predictions.log import PredictionLog
from mlops_dagster.predictions.records import ANSWERED, Role
from mlops_dagster.predictions.spool import Spool


@dataclass(frozen=True, slots=True)
class ProcessAudit:
    """The records of one process, numbered from 1; `gaps` are first and last number of what is nowhere."""

    process: str
    recorded: int
    logged: int
    spooled: int  # not in the log yet
    twice: int
    gaps: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class AuditReport:
    """`answered` rows were acknowledged to clients; `logged` of them are in the log, `spooled` on their way there."""

    processes: tuple[ProcessAudit, ...]
    answered: int
    logged: int
    spooled: int

    @property
    def gaps(self) -> tuple[tuple[str, int, int], ...]:
        """(process, first, last) of every run of missing records."""
        return tuple((audit.process, *gap) for audit in self.processes for gap in audit.gaps)

    @property
    def complete(self) -> bool:
        """Every answered row is in the log or on its way, once."""
        once = not self.gaps and not any(audit.twice for audit in self.processes)
        return once and self.answered == self.logged + self.spooled


def audit(spool: Spool, log: PredictionLog) -> AuditReport:
    """Compare what each process recorded with what the log and the spool hold. Serving may go on meanwhile."""
    # In this order: what is recorded later has higher numbers than were noted first, and what is shipped meanwhile
    # is found in the log.
    noted = spool.processes()
    waiting = _waiting(spool)
    logged = log.sequences()
    processes, sequences = logged["process"].to_numpy(), logged["sequence"].to_numpy()
    is_answer = np.isin(logged["role"].to_numpy().astype(str), ANSWERED)

    audits = []
    answers_logged = answers_spooled = 0
    for process, recorded, _ in noted:
        own = (processes == process) & (sequences <= recorded)
        in_log = np.unique(sequences[own])
        in_spool = {number: role for number, role in waiting[process].items() if number <= recorded}
        for number in in_log.tolist():
            in_spool.pop(number, None)
        held = np.union1d(in_log, np.fromiter(in_spool, dtype=np.int64))
        audits.append(
            ProcessAudit(
                process=process,
                recorded=recorded,
                logged=len(in_log),
                spooled=len(in_spool),
                twice=int(own.sum()) - len(in_log),
                gaps=_gaps(held, recorded),
            )
        )
        answers_logged += int((own & is_answer).sum())
        answers_spooled += sum(role in ANSWERED for role in in_spool.values())
    return AuditReport(
        processes=tuple(audits),
        answered=sum(process.answered for process in noted),
        logged=answers_logged,
        spooled=answers_spooled,
    )


def _waiting(spool: Spool) -> defaultdict[str, dict[int, Role]]:
    """Sequence number -> role of what is not shipped yet, by process."""
    waiting: defaultdict[str, dict[int, Role]] = defaultdict(dict)
    after = spool.marked("shipped")
    while entries := spool.read(after):
        for entry in entries:
            if entry.sequence is not None:
                prediction = entry.prediction()
                waiting[prediction["process"]][entry.sequence] = prediction["role"]
        after = entries[-1].number
    return waiting


def _gaps(held: npt.NDArray[np.int64], recorded: int) -> tuple[tuple[int, int], ...]:
    """The runs of numbers of 1..recorded that are not held (sorted, unique)."""
    bounds = np.concatenate(([0], held, [recorded + 1]))
    before = np.flatnonzero(np.diff(bounds) > 1)
    return tuple((int(bounds[at]) + 1, int(bounds[at + 1]) - 1) for at in before)
