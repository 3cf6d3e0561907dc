"""Expiry: whole days of the log that go because they are old; on record like an erasure, and safe to repeat.

It needs no spool: the days are over, and no label of them is awaited any more.
"""

import uuid
from collections.abc import Mapping
from dataclasses import replace
from datetime import date, datetime
from functools import partial, reduce
from operator import or_
from typing import TYPE_CHECKING

from mlops_dagster.predictions.erasure.erase import Erased, erase_rows
from mlops_dagster.predictions.erasure.erasure_log import Erasure, Erasures, note
from mlops_dagster.predictions.log.log import PredictionLog
from mlops_dagster.predictions.log.maintenance import MAINTAINER_SECONDS, maintaining
from mlops_dagster.predictions.log.names import LABELS_TABLE, predictions_table

if TYPE_CHECKING:
    import pyarrow.dataset as pads

    from mlops_dagster.predictions.log.location import TableAddress


def expire(
    log: PredictionLog,
    before: Mapping[str, date],
    *,
    actor: str,
    reason: str,
    at: datetime,
    dry_run: bool = False,
) -> dict[str, Erased]:
    """Take the days of each model before a date out of the log, with the labels that became known before it.

    Earlier versions of the tables can be read for a week more. Labels are counted for all models together, under "".

    Args:
        log: the log.
        before: the date by model; models without a table are left out.
        actor: whoever lets them go.
        reason: the reason, which is kept for ever.
        at: the time of the entry in the record of erasures.
        dry_run: only count.

    Raises StorageError, and AlreadyRunningError while another process maintains the log.
    """
    import pyarrow.dataset as pads

    known = {model: day for model, day in before.items() if model in log.models()}
    old = {model: pads.field("date") < day for model, day in known.items()}
    labels_at = log.place.table(LABELS_TABLE)
    of_labels = [(pads.field("model") == model) & its for model, its in old.items()]
    if dry_run:
        found = {model: Erased(_count(log.place.table(predictions_table(model)), its), 0) for model, its in old.items()}
        return found | {"": Erased(0, sum(_count(labels_at, its) for its in of_labels))}
    gone: dict[str, Erased] = {}
    with maintaining(log.place, wait_seconds=MAINTAINER_SECONDS):
        if of_labels:
            gone[""] = Erased(0, _take(labels_at, reduce(or_, of_labels)))
        unfinished = Erasures.read(log).begun()
        for model, its in old.items():
            table_at = log.place.table(predictions_table(model))
            if not _count(table_at, its) and model not in unfinished:
                continue
            begun = Erasure(uuid.uuid4().hex, "begun", model, at, actor, reason, "days", rows=0)
            rows = erase_rows(table_at, its, first=partial(note, log, begun))
            note(log, replace(begun, step="done", rows=rows), {})
            _vacuum(table_at)
            gone[model] = Erased(rows, 0)
    return gone


def _take(at: "TableAddress", its: "pads.Expression") -> int:
    if not _count(at, its):
        return 0
    rows = erase_rows(at, its)
    _vacuum(at)
    return rows


def _count(at: "TableAddress", its: "pads.Expression") -> int:
    from mlops_dagster.predictions.log.delta import tables as delta
    from mlops_dagster.predictions.log.delta.errors import storage_errors

    table = delta.open_table(at)
    if table is None:
        return 0
    with storage_errors("read", at):
        return int(delta.rows_of(at, table).count_rows(filter=its))


def _vacuum(at: "TableAddress") -> None:
    from mlops_dagster.predictions.log.delta import upkeep

    upkeep.remove_old_files(at)
