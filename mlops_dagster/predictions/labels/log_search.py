"""Search of the log for predictions by id, for the label index. Imports pyarrow: import it where it is used."""

from collections import defaultdict
from collections.abc import Collection
from typing import Any

import pyarrow.dataset as pads

from mlops_dagster.predictions.encoded import Arm
from mlops_dagster.predictions.labels.label_index import Adopted
from mlops_dagster.predictions.log import columns
from mlops_dagster.predictions.log.delta import tables as delta
from mlops_dagster.predictions.log.delta.errors import storage_errors
from mlops_dagster.predictions.log.log import PredictionLog
from mlops_dagster.predictions.log.names import LABELS_TABLE
from mlops_dagster.predictions.records import ANSWERED, microseconds

_ARM = ("request", "unit", "version", "role", "weight", "salt", "key", "prediction", "event_time")
_LABEL = ("prediction_id", "request", "label", "at", "received_at", "number")


def find_predictions(log: PredictionLog, model: str, prediction_ids: Collection[str]) -> dict[str, Adopted]:
    """Return the predictions of the ids that the log has an answer for, with their arms and the last of their labels.

    Of several requests that share an id, the one labelled first counts, or else the one answered first. One pass over
    the model's ids: seconds for a hundred million of them. Raises StorageError.
    """
    its = pads.field("prediction_id").isin(sorted(prediction_ids))
    with log.prediction_rows(model) as rows:
        wanted = ["prediction_id", "received_at", "latency_ms", "process", "sequence", *_ARM]
        scored = rows.to_table(wanted, filter=its & pads.field("prediction").is_valid()).to_pylist()
    if not scored:
        return {}
    at = log.place.table(LABELS_TABLE)
    with storage_errors("read", at):
        labels = delta.dataset(at, columns.LABELS).to_table(list(_LABEL), filter=its & (pads.field("model") == model))
    by_request: defaultdict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for label in labels.to_pylist():
        by_request[label["prediction_id"], label["request"]].append(label)
    by_id: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in scored:
        by_id[row["prediction_id"]].append(row)
    found = {}
    for prediction_id, its_rows in by_id.items():
        if answers := [row for row in its_rows if row["role"] in ANSWERED]:
            holder = min(answers, key=lambda row: (_first_label(by_request, row), *_answered(row)))
            found[prediction_id] = _adopted(holder, its_rows, by_request[prediction_id, holder["request"]])
    return found


def _first_label(labels: dict[tuple[str, str], list[dict[str, Any]]], row: dict[str, Any]) -> float:
    its = labels.get((row["prediction_id"], row["request"]), [])
    return min((microseconds(label["received_at"]) for label in its), default=float("inf"))


def _answered(row: dict[str, Any]) -> tuple[float, str, int]:
    return microseconds(row["received_at"]) + row["latency_ms"] * 1000, row["process"], row["sequence"]


def _adopted(answer: dict[str, Any], rows: list[dict[str, Any]], labels: list[dict[str, Any]]) -> Adopted:
    arms = [answer, *(row for row in rows if row["request"] == answer["request"] and row["role"] not in ANSWERED)]
    last = max(labels, key=lambda label: (label["at"], label["received_at"], label["number"]), default=None)
    return Adopted(
        request=answer["request"],
        arms=[_arm(row) for row in arms],
        label=None if last is None else last["label"],
        labelled_at=0 if last is None else microseconds(last["at"]),
        received_at=microseconds(answer["received_at"]),
    )


def _arm(row: dict[str, Any]) -> Arm:
    return {
        "request": row["request"],
        "unit": row["unit"] or "",
        "version": row["version"],
        "role": row["role"],
        "weight": row["weight"],
        "salt": row["salt"],
        "key": row["key"],
        "prediction": row["prediction"],
        "event_time": microseconds(row["event_time"]),
    }
