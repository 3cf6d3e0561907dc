"""Erasure: take one person's rows, or those of old days, out of log, labels, spool and copies; audited, and safe to
repeat."""

import time
import uuid
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import TYPE_CHECKING, TypeAlias

from mlops_dagster.errors import InvalidInputError, StorageError
from mlops_dagster.predictions.erasures import Chosen, Erasure, Held, gather, note
from mlops_dagster.predictions.locking import shipping_lock
from mlops_dagster.predictions.log import LABELS_TABLE, PredictionLog, predictions_table
from mlops_dagster.predictions.maintenance import MAINTAINER_SECONDS, maintaining
from mlops_dagster.predictions.rollups import Rollups
from mlops_dagster.predictions.spool import Spool

if TYPE_CHECKING:
    import pyarrow.dataset as pads

    from mlops_dagster.predictions.place import TableAddress

ROLLUP_SECONDS = 30.0
"""How long an erasure waits for the rollups to count what is still in the spool."""

_POLL_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Choice:
    """Rows of one model: of a routing key, of prediction ids, or of the days before a date. One of the three."""

    model: str
    key: str | None = None
    ids: tuple[str, ...] = ()
    before: date | None = None

    def __post_init__(self) -> None:
        if [self.key is not None, bool(self.ids), self.before is not None].count(True) != 1:
            raise InvalidInputError("say what to erase: a key, prediction ids, or the days before a date; one of them")

    @property
    def what(self) -> Chosen:
        return "key" if self.key is not None else "ids" if self.ids else "days"

    def expression(self) -> "pads.Expression":
        """True or false of every row, never null: its opposite is what stays."""
        import pyarrow.dataset as pads

        if self.key is not None:
            return pads.field("key").is_valid() & (pads.field("key") == self.key)
        return pads.field("prediction_id").isin(list(self.ids)) if self.ids else pads.field("date") < self.before

    def of_labels(self, rows: Iterable[tuple[str, str]]) -> "pads.Expression":
        """Of `rows`, given as (id, request); others may have the same ids."""
        import pyarrow.dataset as pads

        its = pads.field("model") == self.model
        if self.before is not None:
            return its & (pads.field("date") < self.before)
        ids, requests = (sorted(set(each)) for each in zip(*rows, strict=True))
        return its & pads.field("prediction_id").isin(ids) & pads.field("request").isin(requests)


@dataclass(frozen=True, slots=True)
class Erased:
    """How many rows an erasure took out of the log, predictions (every scoring of them) and labels, and elsewhere."""

    predictions: int
    labels: int
    copies: int = 0
    """Rows that were taken out of files beside the log."""


EraseCopies: TypeAlias = Callable[[Choice, Sequence[str]], int]
"""What takes rows out of files beside the log."""


def erase(
    log: PredictionLog,
    spool: Spool,
    rollups: Collection[Rollups],
    choice: Choice,
    *,
    actor: str,
    reason: str,
    at: datetime,
    copies: EraseCopies | None = None,
) -> Erased:
    """Erase what was recorded before this call, and the files of the log that held it; counts in the rollups stay.

    `copies` are told the choice and the ids of its predictions, none for those of days, and say how many rows they let
    go of.

    Safe to repeat after a crash: the numbers of the rows are noted first, and the predictions, which tell the ids of
    all else, go last. Nothing is shipped from this spool meanwhile; the shippers of other spools go on. Raises
    StorageError, and AlreadyRunningError while another process maintains the log: run it again.

    The labels of old days are those that became known before the date, and keys of old days stay in the rollups'
    index of bad events. A bucket that keeps old versions of objects keeps what was erased: its lifecycle decides.
    """
    from mlops_dagster.predictions import delta

    table_at, labels_at = (log.place.table(name) for name in (predictions_table(choice.model), LABELS_TABLE))
    begun = Erasure(uuid.uuid4().hex, "begun", choice.model, at, actor, reason, choice.what, rows=0)
    with maintaining(log.place, wait_seconds=MAINTAINER_SECONDS), shipping_lock(spool.path, alone=True):
        _empty(log, spool)
        for table, why in spool.held.reasons().items():
            if table in (predictions_table(choice.model), LABELS_TABLE):
                raise StorageError(
                    f"entries of {table} are held back in {spool.path}, for the log does not take them ({why}); "
                    "mend that, and run the erasure again"
                )
        if choice.model not in log.models():
            raise InvalidInputError(f"the log has no model {choice.model!r}; it has {log.models()}")
        rows = _forget(log, spool, choice)
        _empty(log, spool)  # labels that came before their predictions were forgotten
        if choice.key is not None:
            for counts in rollups:
                counts.forget_key(choice.model, choice.key)
        copied = 0 if copies is None else copies(choice, sorted({prediction_id for prediction_id, _ in rows}))
        labels = 0

        def note_and_take_labels(held: Mapping[str, Held]) -> None:
            nonlocal labels
            note(log, begun, held)
            if rows or choice.before is not None:
                labels += _erase_rows(labels_at, choice.of_labels(rows))

        predictions = _erase_rows(table_at, choice.expression(), first=note_and_take_labels)
        for erased_from in (table_at, labels_at):
            delta.remove_erased_files(erased_from)
        note(log, replace(begun, step="done", rows=predictions), {})
    return Erased(predictions, labels, copied)


def _empty(log: PredictionLog, spool: Spool) -> None:
    """Everything that is in the spool now leaves it: into the log, and into the rollups by whoever counts."""
    log.take_over(spool)
    upto = spool.marked("shipped")
    deadline = time.monotonic() + ROLLUP_SECONDS
    while spool.taken_over() < upto and any(entry.number <= upto for entry in spool.read(0, limit=1)):
        if time.monotonic() > deadline:
            raise StorageError(
                f"the rollups have not counted what is in {spool.path} within {ROLLUP_SECONDS:g} s; "
                "start `mlops serve`, which counts it, and run the erasure again"
            )
        time.sleep(_POLL_SECONDS)
    spool.free()


def _forget(log: PredictionLog, spool: Spool, choice: Choice) -> set[tuple[str, str]]:
    """Let the spool await no label of the rows; returns each as (id, request), but those of days, which are many."""
    forgotten: set[tuple[str, str]] = set()
    with log.prediction_rows(choice.model) as rows:
        for batch in rows.to_batches(columns=["prediction_id", "request"], filter=choice.expression()):
            found = list(zip(batch["prediction_id"].to_pylist(), batch["request"].to_pylist(), strict=True))
            spool.forget(choice.model, found)
            if choice.before is None:
                forgotten.update(found)
    return forgotten


def _erase_rows(
    at: "TableAddress", chosen: "pads.Expression", first: Callable[[Mapping[str, Held]], None] | None = None
) -> int:
    """Take rows out of a table; returns how many. `first` is told before that of exactly their numbers: what others
    append in between is seen, and looked at again."""
    from mlops_dagster.predictions import delta

    if delta.open_table(at) is None:
        return 0
    erased = 0
    for _ in range(delta.ATTEMPTS):
        with delta.storage_errors("erase from", at), delta.deletable(at) as table:
            held: defaultdict[str, Held] = defaultdict(Held)
            days: Counter[date] = Counter()
            wanted = ["date"] if first is None else ["date", "process", "sequence", "role"]
            for batch in delta.rows_of(at, table).to_batches(columns=wanted, filter=chosen):
                days.update(batch["date"].to_pylist())
                if first is not None:
                    gather(held, batch)
            if first is not None:
                first(held)
            for day, count in days.items():
                rest = delta.rows_of(at, table, [("date", "=", day.isoformat())])
                if not delta.replace_day(table, day, rest.scanner(filter=~chosen).to_reader()):
                    break
                erased += count
            else:
                return erased
    raise StorageError(f"{delta.ATTEMPTS} erasures from {at.uri} were overtaken by appends; run it again")
