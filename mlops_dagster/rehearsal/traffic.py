"""Recorded rows as the requests they were: one each, hour by hour."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple, Protocol

import orjson

from mlops_dagster.schema import ModelSchema

if TYPE_CHECKING:
    import pandas as pd

HOUR = timedelta(hours=1)
DATATYPES = {"numeric": "FP64", "categorical": "BYTES"}


class Recorded(Protocol):
    """A trainer module that also has traffic to replay."""

    SCHEMA: ModelSchema

    def recorded_traffic(self, start: datetime, end: datetime) -> pd.DataFrame:
        """Rows of [start, end) by `event_time`: the schema's features, `label` (None if never known), `known_at`."""
        ...


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


def hours(source: Recorded, start: datetime, until: datetime) -> list[Hour]:
    """Every hour of [start, until), those without a request too."""
    frame = source.recorded_traffic(start, until)
    found = [Hour(start + number * HOUR, []) for number in range(int((until - start) / HOUR))]
    for event_time, request in zip(frame["event_time"], _requests(frame, source.SCHEMA), strict=True):
        found[int((event_time - start) / HOUR)].requests.append(request)
    return found


def _requests(frame: pd.DataFrame, schema: ModelSchema) -> Iterator[Request]:
    tensors = [(feature.name, DATATYPES[feature.kind]) for feature in schema.features]
    rows = zip(*(frame[name].tolist() for name in schema.names), strict=True)
    outcomes = zip(frame["event_time"], frame["known_at"], frame["label"].tolist(), strict=True)
    for values, (event_time, known_at, label) in zip(rows, outcomes, strict=True):
        inputs = [
            # orjson writes NaN as null, which is what the protocol has for a missing value.
            {"name": name, "shape": [1], "datatype": datatype, "data": [value]}
            for (name, datatype), value in zip(tensors, values, strict=True)
        ]
        body = orjson.dumps({"inputs": inputs, "parameters": {"event_time": event_time.isoformat()}})
        yield Request(body, *((label, known_at.to_pydatetime()) if isinstance(label, str) else (None, None)))
