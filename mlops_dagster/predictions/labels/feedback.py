"""Labels from any sender to any replica: each is recorded once, by the replica that knows its prediction."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

from mlops_dagster.clock import Clock
from mlops_dagster.errors import StorageError
from mlops_dagster.predictions.labels.inbox import LabelInbox, SentLabel, Waiting
from mlops_dagster.predictions.labels.join import Batch, Label
from mlops_dagster.predictions.labels.outbox import LabelOutbox
from mlops_dagster.predictions.records import FeedbackResult, from_microseconds, microseconds
from mlops_dagster.predictions.spool.spool import Spool

if TYPE_CHECKING:
    from mlops_dagster.predictions.log.log import PredictionLog

_AT_ONCE = 10_000


class Taken(NamedTuple):
    """Labels of one model that came through the database or the outbox, and the result of recording them."""

    model: str
    result: FeedbackResult


class Feedback:
    """Takes labels, and passes those of other replicas' predictions on to them where replicas share a database.

    A label whose prediction is not known here is stored in the database, which every replica reads each second: the one
    that answered records it. While the database is away, such labels and the first label of any prediction are stored
    in this machine's outbox until it is back. If no replica knows the prediction any more, the log is searched.

    May be used by several threads and processes of one machine. `clock` is the machine's clock, not that of replayed
    traffic.
    """

    def __init__(self, spool: Spool, inbox: LabelInbox | None, outbox: LabelOutbox, clock: Clock) -> None:
        self._spool = spool
        self._inbox = inbox
        self._outbox = outbox
        self._clock = clock

    def look(self) -> None:
        """Register this replica in the database: from now on labels of its predictions reach it."""
        if self._inbox is not None:
            self._inbox.look(self._spool.id, self._clock.now())

    def take(
        self, labels: Iterable[Label], *, model: str, actor: str | None = None, now: datetime | None = None
    ) -> FeedbackResult:
        """Take labels as (prediction id, label, time it became known or None for `now`); they are durable on return.

        Labels whose prediction only another replica may know count as accepted, and as `pending`.

        Raises StorageError.
        """
        received = self._clock.now()
        batch = Batch(model, actor, microseconds(received), microseconds(now or received))
        sent = [SentLabel(batch, name, label, None if at is None else microseconds(at)) for name, label, at in labels]
        if self._inbox is None:
            return self._record(batch, sent)
        if not self._outbox.is_empty():  # the database is away, and asking it again would take seconds
            return self._keep(batch, sent)
        try:
            return self._deliver(self._inbox, batch, sent)
        except StorageError:
            return self._keep(batch, sent)

    def exchange(self) -> list[Taken]:
        """Send the labels of the outbox, and record those that others sent to this replica. Raises StorageError."""
        if self._inbox is None:
            return []
        read = self._inbox.look(self._spool.id, self._clock.now())
        taken = []
        while waiting := self._outbox.read(_AT_ONCE):
            taken += [
                Taken(batch.model, self._deliver(self._inbox, batch, [each.sent for each in its]))
                for batch, its in _batches(waiting)
            ]
            self._outbox.remove(waiting[-1].number)
        while waiting := self._inbox.read(read, _AT_ONCE):
            read = waiting[-1].number
            taken += self._take(self._inbox, waiting, read)
        return taken

    def settle(self, log: "PredictionLog", keep: timedelta) -> tuple[list[Taken], Mapping[str, int]]:
        """Handle labels that no replica takes, on one replica only; return those recorded, and counts of those removed.

        While every replica is there, a label that none knows belongs to no prediction, and is removed and counted by
        model. Otherwise it may belong to a replica that is away: its prediction is looked for in the log, and if it is
        not there, the label waits for that replica, at most for `keep`, and is then removed and counted too.
        """
        now = self._clock.now()
        if self._inbox is None or not self._inbox.leads(self._spool.id, now):
            return [], {}
        gone = Counter(self._inbox.expire(now - keep))
        gone.update(self._inbox.unmatched(now))
        taken: list[Taken] = []
        while waiting := self._inbox.unclaimed(now, _AT_ONCE):
            for model, its in groupby(sorted(waiting, key=_model), key=_model):
                self._adopt(self._inbox, log, model, {each.sent.prediction_id for each in its})
            taken += self._take(self._inbox, waiting, 0)
            self._inbox.searched(each.number for each in waiting)
        return taken, gone

    def prune(self, keep: timedelta) -> int:
        """Stop awaiting labels of predictions answered longer ago than `keep`; return how many predictions."""
        return self._spool.prune(self._clock.now() - keep)

    def waiting(self) -> Mapping[str, int]:
        """Return how many labels wait for another replica, by model. Raises StorageError."""
        return {} if self._inbox is None else self._inbox.waiting()

    def forget(self, model: str, prediction_ids: Sequence[str]) -> None:
        """Remove the labels that wait for these predictions. Raises StorageError."""
        self._outbox.forget(model, prediction_ids)
        if self._inbox is not None:
            self._inbox.forget(model, prediction_ids)

    def close(self) -> None:
        self._outbox.close()
        if self._inbox is not None:
            self._inbox.close()

    def _deliver(self, inbox: LabelInbox, batch: Batch, sent: Sequence[SentLabel]) -> FeedbackResult:
        """Record labels of predictions held here; post the rest for other replicas if there are any, else they are
        unknown.
        """
        here = self._held(inbox, batch, sent)
        others = [label for label in sent if label.prediction_id not in here]
        if others and inbox.has_others(self._spool.id) and inbox.post(batch.model, others):
            recorded = self._record(batch, [label for label in sent if label.prediction_id in here])
            return _with_pending(recorded, len(others))
        result = self._record(batch, [label for label in sent if label.prediction_id in here])
        return replace(result, unknown=[label.prediction_id for label in others])

    def _keep(self, batch: Batch, sent: Sequence[SentLabel]) -> FeedbackResult:
        """Record labels of predictions that already have one here, so are held here; store the rest for later."""
        here = self._labelled(batch, sent)
        later = [label for label in sent if label.prediction_id not in here]
        if later:
            self._outbox.add(later)
        return _with_pending(self._record(batch, [each for each in sent if each.prediction_id in here]), len(later))

    def _take(self, inbox: LabelInbox, waiting: Sequence[Waiting], read: int) -> list[Taken]:
        """Record those of the waiting labels whose predictions are held here."""
        taken, recorded = [], []
        for batch, its in _batches(waiting):
            here = self._held(inbox, batch, [each.sent for each in its])
            ours = [each for each in its if each.sent.prediction_id in here]
            if ours:
                taken.append(Taken(batch.model, self._record(batch, [each.sent for each in ours])))
                recorded += [each.number for each in ours]
        inbox.done(self._spool.id, recorded, read)
        return taken

    def _held(self, inbox: LabelInbox, batch: Batch, sent: Sequence[SentLabel]) -> set[str]:
        """Return the ids of predictions that are known here and held by this replica."""
        awaited = self._spool.awaited(batch.model, {label.prediction_id for label in sent})
        labelled = {name for name, found in awaited.items() if found.label is not None}
        first = awaited.keys() - labelled
        return labelled | inbox.claim(batch.model, first, self._spool.id, self._clock.now())

    def _labelled(self, batch: Batch, sent: Sequence[SentLabel]) -> set[str]:
        """Return the ids that this replica certainly holds: a label of each was recorded here."""
        awaited = self._spool.awaited(batch.model, {label.prediction_id for label in sent})
        return {name for name, found in awaited.items() if found.label is not None}

    def _record(self, batch: Batch, sent: Sequence[SentLabel]) -> FeedbackResult:
        return self._spool.feedback(
            [(label.prediction_id, label.label, label.known_at) for label in sent],
            model=batch.model,
            actor=batch.actor,
            now=from_microseconds(batch.unsaid),
            received=from_microseconds(batch.received_at),
        )

    def _adopt(self, inbox: LabelInbox, log: "PredictionLog", model: str, prediction_ids: set[str]) -> None:
        """Adopt the log's predictions into the spool's index; with a label in the log, the next one is a correction."""
        from mlops_dagster.predictions.labels.log_search import find_predictions

        found = find_predictions(log, model, prediction_ids)
        self._spool.awaiting.adopt(model, found)
        labelled = [name for name, prediction in found.items() if prediction.label is not None]
        inbox.take_over(model, labelled, self._spool.id, self._clock.now())


def _batches(waiting: Sequence[Waiting]) -> list[tuple[Batch, list[Waiting]]]:
    """Return labels by their batch, in the order in which they came."""
    return [(batch, list(its)) for batch, its in groupby(waiting, key=lambda each: each.sent.batch)]


def _model(waiting: Waiting) -> str:
    return waiting.sent.batch.model


def _with_pending(result: FeedbackResult, pending: int) -> FeedbackResult:
    return replace(result, accepted=result.accepted + pending, pending=pending)
