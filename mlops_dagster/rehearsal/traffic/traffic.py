"""Requests of a history as they are sent: one for each row, hour by hour."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

import orjson

from mlops_dagster.rehearsal.traffic.history import EVENT_TIME, ID, KEY, KNOWN_AT, LABEL, History
from mlops_dagster.schema import ModelSchema

if TYPE_CHECKING:
    import pandas as pd

HOUR = timedelta(hours=1)
DATATYPES = {"numeric": "FP64", "categorical": "BYTES"}


class Request(NamedTuple):
    """One row: the body to send, and the label to deliver later, if there is one."""

    body: bytes
    label: str | None
    known_at: datetime | None


@dataclass(frozen=True)
class Hour:
    """The requests of [start, start + 1 h), in order of time."""

    start: datetime
    requests: list[Request]

    @property
    def end(self) -> datetime:
        return self.start + HOUR


def hours(history: History, schema: ModelSchema, start: datetime, until: datetime) -> list[Hour]:
    """Return every hour of [start, until), including those without a request."""
    frame = history.between(start, until)
    found = [Hour(start + number * HOUR, []) for number in range(int((until - start) / HOUR))]
    for event_time, request in zip(frame[EVENT_TIME], _requests(frame, schema), strict=True):
        found[int((event_time - start) / HOUR)].requests.append(request)
    return found


def _requests(frame: pd.DataFrame, schema: ModelSchema) -> Iterator[Request]:
    tensors = [(feature.name, DATATYPES[feature.kind]) for feature in schema.features]
    rows = zip(*(frame[name].tolist() for name in schema.names), strict=True)
    outcomes = zip(
        frame[EVENT_TIME], frame[KNOWN_AT], *(frame[name].tolist() for name in (LABEL, ID, KEY)), strict=True
    )
    for values, (event_time, known_at, label, name, key) in zip(rows, outcomes, strict=True):
        inputs = [
            # orjson writes NaN as null, which is what the protocol has for a missing value.
            {"name": name, "shape": [1], "datatype": datatype, "data": [value]}
            for (name, datatype), value in zip(tensors, values, strict=True)
        ]
        parameters = {"event_time": event_time.isoformat(), **({} if key is None else {"routing_key": key})}
        body = orjson.dumps({**({} if name is None else {"id": name}), "inputs": inputs, "parameters": parameters})
        yield Request(body, *((None, None) if label is None else (label, known_at.to_pydatetime())))
