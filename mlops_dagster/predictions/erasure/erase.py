"""Erasure of rows of some people from log, labels, spool and copies; audited, and safe to repeat."""

import time
import uuid
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from mlops_dagster.errors import InvalidInputError, StorageError
from mlops_dagster.predictions.erasure.erasure_log import Chosen, Erasure, Held, gather, note
from mlops_dagster.predictions.log.log import PredictionLog
from mlops_dagster.predictions.log.maintenance import MAINTAINER_SECONDS, maintaining
from mlops_dagster.predictions.log.names import LABELS_TABLE, predictions_table
from mlops_dagster.predictions.rollups.rollups import Rollups
from mlops_dagster.predictions.spool.locking import shipping_lock
from mlops_dagster.predictions.spool.spool import Spool

if TYPE_CHECKING:
    import pyarrow.dataset as pads

    from mlops_dagster.predictions.log.location import TableAddress

ROLLUP_SECONDS = 30.0
"""The longest time that an erasure waits for the rollups to count the entries still in the spool."""

_POLL_SECONDS = 0.1
_A_NAME = 4
"""Shortest key, in characters, that is looked for in a reason: a shorter one may be part of an ordinary word."""


@dataclass(frozen=True, slots=True)
class Choice:
    """Rows of one model to erase: those of routing keys and prediction ids.

    Every day that has a chosen row is rewritten, so erasing many people at once costs hardly more than erasing one.
    """

    model: str
    keys: tuple[str, ...] = ()
    ids: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not (self.keys or self.ids):
            raise InvalidInputError("say what to erase: keys or prediction ids")

    @property
    def what(self) -> Chosen:
        return "keys" if self.keys else "ids"

    def expression(self) -> "pads.Expression":
        """Return an expression for the chosen rows; it is never null, so its negation selects the rows that stay."""
        import pyarrow as pa
        import pyarrow.dataset as pads

        keys, ids = (pa.array(names, pa.string()) for names in (self.keys, self.ids))
        of_keys = pads.field("key").is_valid() & pads.field("key").isin(keys)
        return of_keys | pads.field("prediction_id").isin(ids)

    def of_labels(self, rows: Iterable[tuple[str, str]]) -> "pads.Expression":
        """Return an expression for the labels of `rows`, each (id, request): other requests may have the same ids."""
        import pyarrow.dataset as pads

        its = pads.field("model") == self.model
        ids, requests = (sorted(set(each)) for each in zip(*rows, strict=True))
        return its & pads.field("prediction_id").isin(ids) & pads.field("request").isin(requests)


@dataclass(frozen=True, slots=True)
class Erased:
    """The number of rows that an erasure took out: predictions (all scorings of them), labels and copies."""

    predictions: int
    labels: int
    copies: int = 0
    """Rows that were taken out of files outside the log."""


class Found(NamedTuple):
    """The predictions that a choice selects."""

    rows: frozenset[tuple[str, str]]
    """The rows of the predictions, each as (id, request)."""
    hours: frozenset[datetime]
    """The hours in which the predictions were made, each as its beginning."""

    @property
    def ids(self) -> list[str]:
        return sorted({prediction_id for prediction_id, _ in self.rows})


EraseCopies: TypeAlias = Callable[[Choice, Found], int]
"""A function that takes rows out of files outside the log; it returns how many."""


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
    """Erase the chosen rows recorded before this call, and the log files that held them; counts in the rollups stay.

    `copies` is called with the choice and the predictions found, and returns how many rows it took out. Spool, label
    index and rollups are rewritten, so that no byte of the rows stays in them (`purge`).

    Safe to repeat after a crash: the numbers of the rows are noted first, and the predictions, which give the ids of
    everything else, go last. This spool ships nothing meanwhile; the shippers of other spools go on. Raises
    StorageError; AlreadyRunningError while another process maintains the log (run it again); and InvalidInputError for
    a reason that names a key or an id, because reasons are kept for ever.

    A bucket that keeps old versions of objects keeps the erased rows until its
    lifecycle rules remove them.
    """
    from mlops_dagster.predictions.log.delta import upkeep

    table_at, labels_at = (log.place.table(name) for name in (predictions_table(choice.model), LABELS_TABLE))
    check_reason(reason, (*choice.keys, *choice.ids))
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
        found = _forget(log, spool, choice)
        _empty(log, spool)  # labels that came before their predictions were forgotten
        if choice.keys:
            for counts in rollups:
                counts.forget_keys(choice.model, choice.keys)
        copied = 0 if copies is None else copies(choice, found)
        labels = 0

        def note_and_take_labels(held: Mapping[str, Held]) -> None:
            nonlocal labels
            note(log, begun, held)
            if found.rows:
                labels += erase_rows(labels_at, choice.of_labels(found.rows))

        predictions = erase_rows(table_at, choice.expression(), first=note_and_take_labels)
        for erased_from in (table_at, labels_at):
            upkeep.remove_erased_files(erased_from)
        spool.purge()
        note(log, replace(begun, step="done", rows=predictions), {})
    return Erased(predictions, labels, copied)


def check_reason(reason: str, names: Iterable[str]) -> None:
    """Raise InvalidInputError for a reason that contains one of the names: the reason is kept for ever."""
    if any(len(name) >= _A_NAME and name in reason for name in names):
        raise InvalidInputError("the reason names whom it erases, and is kept for ever; name a ticket instead")


def _empty(log: PredictionLog, spool: Spool) -> None:
    """Move every entry now in the spool into the log, and wait until the rollups' counter has counted them."""
    log.writer.take_over(spool)
    upto = spool.marks.get("shipped")
    deadline = time.monotonic() + ROLLUP_SECONDS
    while spool.taken_over() < upto and any(entry.number <= upto for entry in spool.read(0, limit=1)):
        if time.monotonic() > deadline:
            raise StorageError(
                f"the rollups have not counted what is in {spool.path} within {ROLLUP_SECONDS:g} s; "
                "start `mlops serve`, which counts it, and run the erasure again"
            )
        time.sleep(_POLL_SECONDS)
    spool.free()


def _forget(log: PredictionLog, spool: Spool, choice: Choice) -> Found:
    """Make the spool await no label of the chosen rows; return these rows."""
    import pyarrow.compute as pc

    forgotten: set[tuple[str, str]] = set()
    hours: set[datetime] = set()
    with log.prediction_rows(choice.model) as rows:
        for batch in rows.to_batches(columns=["prediction_id", "request", "event_time"], filter=choice.expression()):
            found = list(zip(batch["prediction_id"].to_pylist(), batch["request"].to_pylist(), strict=True))
            spool.forget(choice.model, found)
            forgotten.update(found)
            hours.update(pc.unique(pc.floor_temporal(batch["event_time"], unit="hour")).to_pylist())
    return Found(frozenset(forgotten), frozenset(hours))


def erase_rows(
    at: "TableAddress", chosen: "pads.Expression", first: Callable[[Mapping[str, Held]], None] | None = None
) -> int:
    """Take rows out of a table; return how many.

    `first` is called before that with exactly their numbers. Rows appended in between are noticed, and the table is
    read again.
    """
    from mlops_dagster.predictions.log.delta import tables as delta
    from mlops_dagster.predictions.log.delta import upkeep
    from mlops_dagster.predictions.log.delta.errors import storage_errors

    if delta.open_table(at) is None:
        return 0
    erased = 0
    for _ in range(delta.ATTEMPTS):
        with storage_errors("erase from", at), upkeep.deletable(at) as table:
            held: defaultdict[str, Held] = defaultdict(Held)
            days: Counter[date] = Counter()
            wanted = ["date"] if first is None else ["date", "process", "sequence", "role"]
            for batch in delta.rows_of(at, table).to_batches(columns=wanted, filter=chosen):
                days.update(batch["date"].to_pylist())
                if first is not None:
                    gather(held, batch)
            if first is not None:
                first(held)
            upkeep.remove_refused_files(at, table, chosen)
            for day, count in days.items():
                rest = delta.rows_of(at, table, [("date", "=", day.isoformat())])
                if not upkeep.replace_day(at, table, day, rest.scanner(filter=~chosen).to_reader()):
                    break
                erased += count
            else:
                return erased
    raise StorageError(f"{delta.ATTEMPTS} erasures from {at.uri} were overtaken by appends; run it again")
