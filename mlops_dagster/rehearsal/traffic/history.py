"""A model's own history: its requests in order of time, with the labels that became known later, checked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from mlops_dagster.documents.texts import counted
from mlops_dagster.errors import InvalidInputError
from mlops_dagster.rehearsal.traffic.columns import numbers, refuse_twice, texts, times
from mlops_dagster.schema import ModelSchema

if TYPE_CHECKING:
    import pandas as pd

EVENT_TIME: Final = "event_time"
ID: Final = "prediction_id"
KEY: Final = "key"
LABEL: Final = "label"
KNOWN_AT: Final = "known_at"
OWN: Final = (EVENT_TIME, ID, KEY, LABEL, KNOWN_AT)
"""The columns other than the features; a feature of the same name makes a history unreadable."""

LONG_GAP = timedelta(days=1)


@dataclass(frozen=True)
class History:
    """Requests in order of time, one a row, and notes that a person should read before they are played.

    Columns of `frame`: the schema's features (float64, or object with str and None), `event_time` (UTC), `key`,
    `prediction_id` and `label` (object with str and None), `known_at` (UTC; NaT where there is no label).
    """

    frame: pd.DataFrame
    notes: tuple[str, ...]

    @property
    def first(self) -> datetime:
        time: datetime = self.frame[EVENT_TIME].iloc[0].to_pydatetime()
        return time

    @property
    def last(self) -> datetime:
        time: datetime = self.frame[EVENT_TIME].iloc[-1].to_pydatetime()
        return time

    def between(self, start: datetime, until: datetime) -> pd.DataFrame:
        """Return the requests of [start, until)."""
        first, last = self.frame[EVENT_TIME].searchsorted([start, until])
        return self.frame.iloc[first:last].reset_index(drop=True)


def read_history(requests: pd.DataFrame, labels: pd.DataFrame | None, schema: ModelSchema) -> History:
    """Check the tables of a history and merge them into one.

    Args:
        requests: one row a request: the schema's features, `event_time` (with a time zone); where there are any, `key`
            (by which a rollout splits), `prediction_id`, `label`, `known_at` (the time at which the label was known;
            without this column labels are known at once).
        labels: `prediction_id`, `label`, perhaps `known_at`; None if the labels are in `requests`, or there are none.

    Raises InvalidInputError, which names the column and the remedy.
    """
    clash = sorted(set(OWN) & set(schema.names))
    if clash:
        raise InvalidInputError(f"the features {clash} have the names of columns of a history; rename the features")
    requests = requests.reset_index(drop=True)
    refuse_twice("requests", requests)
    _require("requests", requests, [*schema.names, EVENT_TIME])
    if requests.empty:
        raise InvalidInputError("requests: there is no row")
    frame = requests[list(schema.names)].assign(
        **{
            each.name: numbers("requests", requests, each.name)
            if each.kind == "numeric"
            else texts("requests", requests, each.name)
            for each in schema.features
        },
        event_time=times("requests", requests, EVENT_TIME, complete=True),
        key=texts("requests", requests, KEY) if KEY in requests else None,
        prediction_id=texts("requests", requests, ID) if ID in requests else None,
    )
    _refuse_repeated("requests", frame[ID])
    notes = [*_unused(requests, schema), *_disorder(frame)]
    frame, of_labels = _with_labels(frame, requests, labels)
    _refuse_labels(frame, schema)
    frame = frame.sort_values(EVENT_TIME, kind="stable", ignore_index=True)
    return History(frame, (*notes, *of_labels, *_gaps(frame), *_classes(frame, schema)))


def _require(table: str, frame: pd.DataFrame, names: list[str]) -> None:
    missing = [name for name in names if name not in frame]
    if missing:
        alias = f"; is `id` your {ID}? Then rename it" if ID in missing and "id" in frame else ""
        raise InvalidInputError(
            f"{table}: the columns {missing} are missing among {[str(name) for name in frame.columns]}{alias}"
        )


def _refuse_repeated(table: str, ids: pd.Series[str]) -> None:
    repeated = ids.dropna().duplicated()
    if repeated.any():
        first = ids.dropna()[repeated].iloc[0]
        raise InvalidInputError(
            f"{table}: {counted(int(repeated.sum()), 'rows')} with a {ID} that an earlier row has, the first of them "
            f"{first!r}; a prediction has one row, so give each its own id, or leave the column out"
        )


def _with_labels(
    frame: pd.DataFrame, requests: pd.DataFrame, labels: pd.DataFrame | None
) -> tuple[pd.DataFrame, list[str]]:
    """Return the frame with `label` and `known_at`, and notes on labels that belong to no request."""
    if labels is None:
        return _labelled(frame, "requests", requests), []
    if LABEL in requests:
        raise InvalidInputError("labels are in the table of the requests and in a separate table; leave one out")
    labels = labels.reset_index(drop=True)
    refuse_twice("labels", labels)
    _require("labels", labels, [ID, LABEL])
    _require("requests", requests, [ID])
    given = _labelled(labels[[]].assign(prediction_id=texts("labels", labels, ID)), "labels", labels)
    _refuse_repeated("labels", given[ID])
    given = given.dropna(subset=[ID])
    strangers = int((~given[ID].isin(frame[ID].dropna())).sum())
    if strangers == len(given) and strangers:
        raise InvalidInputError(
            f"none of {counted(strangers, 'labels')} has a {ID} of a request; are the files of one model?"
        )
    notes = [f"left out: {counted(strangers, 'labels')} of no request of this history"] if strangers else []
    merged = frame.merge(given, on=ID, how="left")
    return merged.assign(label=texts("labels", merged, LABEL)), notes


def _labelled(frame: pd.DataFrame, table: str, source: pd.DataFrame) -> pd.DataFrame:
    import pandas as pd

    never = pd.Series(pd.NaT, index=source.index, dtype="datetime64[ns, UTC]")
    label = texts(table, source, LABEL) if LABEL in source else None
    known = times(table, source, KNOWN_AT) if KNOWN_AT in source else never
    return frame.assign(label=label, known_at=known)


def _refuse_labels(frame: pd.DataFrame, schema: ModelSchema) -> None:
    """Refuse labels of unknown classes or older than their request; make those without `known_at` known at once."""
    accepted = schema.task.accepted(set(frame[LABEL].dropna()))
    unknown = frame[LABEL].notna() & ~frame[LABEL].isin(accepted)
    if unknown.any():
        raise InvalidInputError(
            f"{counted(int(unknown.sum()), 'labels')} outside of the {schema.task.told}, such as "
            f"{frame[LABEL][unknown].iloc[0]!r}; write them as the trainer's SCHEMA has them"
        )
    early = frame[KNOWN_AT] < frame[EVENT_TIME]
    if early.any():
        raise InvalidInputError(
            f"{counted(int(early.sum()), 'labels')} known before the request came ({KNOWN_AT} before {EVENT_TIME}); "
            f"mend {KNOWN_AT}, or leave the column out"
        )
    frame[KNOWN_AT] = frame[KNOWN_AT].fillna(frame[EVENT_TIME]).where(frame[LABEL].notna())


def _unused(requests: pd.DataFrame, schema: ModelSchema) -> Iterator[str]:
    unused = [str(name) for name in requests.columns if name not in {*schema.names, *OWN}]
    if unused:
        yield f"columns that are not features of the model are not used: {', '.join(unused)}"


def _disorder(frame: pd.DataFrame) -> Iterator[str]:
    late = int((frame[EVENT_TIME] < frame[EVENT_TIME].cummax()).sum())
    if late:
        yield f"{counted(late, 'requests')} stood behind a later one; all are played in order of time"


def _gaps(frame: pd.DataFrame) -> Iterator[str]:
    import pandas as pd

    gaps = frame[EVENT_TIME].diff()
    long = gaps[gaps > LONG_GAP]
    if len(long):
        end, days = long.idxmax(), pd.Timedelta(long.max()) / pd.Timedelta(LONG_GAP)
        yield (
            f"{counted(len(long), 'gaps')} of more than a day without a request, the longest of {days:.1f} days "
            f"until {frame[EVENT_TIME][end]:%Y-%m-%d %H:%M} UTC"
        )


def _classes(frame: pd.DataFrame, schema: ModelSchema) -> Iterator[str]:
    labelled = int(frame[LABEL].notna().sum())
    if not labelled:
        yield "no request has a label: nothing is known of accuracy, and rollouts are decided on failures and latency"
        return
    if labelled < len(frame):
        yield f"{len(frame) - labelled:,} of {len(frame):,} requests have no label, and never get one"
    missing = sorted(set(schema.task.truths) - set(frame[LABEL].dropna().unique()))
    if missing:
        yield f"no label of the history is {', '.join(map(repr, missing))}: nothing is proven for these classes"
