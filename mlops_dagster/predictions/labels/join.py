"""Which label of a prediction is new, which corrects another, and for which arms it is evidence: pure."""

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import NamedTuple, TypeAlias

from mlops_dagster.predictions.labels.label_index import Awaited
from mlops_dagster.predictions.records import FeedbackResult, Hit, LabelEntry, microseconds

Label: TypeAlias = tuple[str, str, datetime | None]
"""Prediction id, label, and when it became known; None if its sender does not say."""


class Batch(NamedTuple):
    """Labels of one model that came together. Times are microseconds since 1970."""

    model: str
    actor: str | None
    received_at: int
    unsaid: int  # when a label became known whose sender does not say when


def join_labels(
    batch: Batch, labels: Iterable[Label], awaited: Mapping[str, Awaited]
) -> tuple[list[LabelEntry], FeedbackResult]:
    """Return the entries that the labels make, in their order, and what became of them.

    The label that became known last holds, in whatever order they come; none is known before its prediction, nor after
    it was received. The first is evidence for every arm that has scored the prediction by now, another one is a
    correction: logged, never evidence. The one that holds, sent again, changes nothing; with a later time it is logged,
    for it overrules what became known in between.
    """
    known = dict(awaited)
    entries: list[LabelEntry] = []
    accepted = corrections = repeated = 0
    unknown: list[str] = []
    hits: Counter[Hit] = Counter()
    for prediction_id, label, at in labels:
        found = known.get(prediction_id)
        if found is None:
            unknown.append(prediction_id)
            continue
        accepted += 1
        repeated += label == found.label
        predicted_at = found.arms[0]["event_time"]
        known_at = max(batch.unsaid if at is None else min(microseconds(at), batch.received_at), predicted_at)
        if label == found.label and (at is None or known_at <= found.labelled_at):
            continue
        correction = found.label not in (None, label)
        corrections += correction
        arms = [] if found.label is not None else found.arms
        hits.update(Hit(batch.model, arm["version"], arm["role"], label, arm["prediction"] == label) for arm in arms)
        entries.append(
            {
                "prediction_id": prediction_id,
                "request": found.request,
                "model": batch.model,
                "label": label,
                "at": known_at,
                "received_at": batch.received_at,
                "correction": correction,
                "actor": batch.actor,
                "arms": arms,
                "event_time": predicted_at,
            }
        )
        if found.label is None or known_at >= found.labelled_at:
            known[prediction_id] = found._replace(label=label, labelled_at=known_at)
    return entries, FeedbackResult(accepted, corrections, unknown, hits, repeated)
