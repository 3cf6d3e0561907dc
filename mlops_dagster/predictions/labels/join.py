"""Rules of labels, pure: is a label new or a correction, and for which arms is it evidence?"""

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import NamedTuple, TypeAlias

from mlops_dagster.predictions.encoded import LabelEntry
from mlops_dagster.predictions.labels.label_index import Awaited
from mlops_dagster.predictions.records import FeedbackResult, Hit, microseconds

Label: TypeAlias = tuple[str, str, datetime | None]
"""(prediction id, label, time it became known; None if its sender does not say)."""


class Batch(NamedTuple):
    """Labels of one model that came together. Times are microseconds since 1970."""

    model: str
    actor: str | None
    received_at: int
    unsaid: int  # the time used for labels whose sender does not say when they became known


def join_labels(
    batch: Batch, labels: Iterable[Label], awaited: Mapping[str, Awaited]
) -> tuple[list[LabelEntry], FeedbackResult]:
    """Return the entries that the labels make, in order, and the result of each label.

    The label that became known last is valid, in whatever order labels come; none is known before its prediction, nor
    after it was received. The first label is evidence for every arm that has scored the prediction by now; any other is
    a correction: logged, never evidence. The valid label, sent again, changes nothing; sent with a later time it is
    logged, because it overrules labels that became known in between.
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
        hits.update(Hit(batch.model, arm["version"], arm["role"], arm["prediction"], label) for arm in arms)
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
