"""Facts of a table that a project needs: features, classes, rates, and the columns left out with reasons."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from math import ceil
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
from pydantic import ValidationError

from mlops_dagster.documents.readable import fields_of
from mlops_dagster.errors import InvalidInputError, InvalidNameError
from mlops_dagster.frames import columns
from mlops_dagster.names import check_feature_name
from mlops_dagster.schema import Feature, ModelSchema
from mlops_dagster.statistics import design_effect
from mlops_dagster.tasks import DEFAULT_KIND, task_of_kind

if TYPE_CHECKING:
    import pandas as pd

KNOWN_AT: Final = "known_at"
_OF_A_REHEARSAL: Final = ("prediction_id", "key", KNOWN_AT)
_MOST_CATEGORIES: Final = 1000
_MOST_STEPS: Final = 10
_DATE: Final = re.compile(r"\d{4}-\d\d?-\d\d?([T ]|$)")
_LABELLED: Final = 0.95
"""The share of labels that must be known of a stretch of time before a rollout takes any of it for evidence."""


@dataclass(frozen=True)
class Group:
    """A column by whose groups the fairness audit compares a model."""

    name: str
    split_at: float | None = None
    """The number that splits a numeric feature in two; None for a categorical one, whose groups are its categories."""


@dataclass(frozen=True)
class Table:
    """A labelled table of events, as far as a project needs to know it."""

    schema: ModelSchema
    shares: Mapping[str, float]
    """Of each label, the commonest first."""
    rows: int
    first_day: date
    days: float
    """The time from the first row to the last."""
    label_delay_hours: float | None
    """By when 95 % of the labels are known; None where the table does not say."""
    label_share: float
    """Of the rows up to the last label, those that have one."""
    rows_per_observation: float
    """The number of rows of a day that count as one, as the differences between the days' labels show."""
    group: Group
    typical: Mapping[str, float | str]
    """The median of each number and the commonest text of each category: a request of no real person."""
    left_out: Mapping[str, str] = field(default_factory=dict)
    """The columns that are not features, with the reasons."""

    @property
    def commonest_share(self) -> float:
        """The share of the commonest label."""
        return max(self.shares.values())

    @property
    def rows_per_day(self) -> float:
        return self.rows / self.days


EXAMPLE: Final = Table(
    schema=ModelSchema(
        features=(Feature(name="amount", kind="numeric"), Feature(name="country", kind="categorical")),
        task=task_of_kind(DEFAULT_KIND).of_labels({"fine": 0.9, "fraud": 0.1}),
    ),
    shares={"fine": 0.9, "fraud": 0.1},
    rows=300_000,
    first_day=date(2026, 1, 1),
    days=60,
    label_delay_hours=24,
    label_share=1.0,
    rows_per_observation=1,
    group=Group("country"),
    typical={"amount": 12.5, "country": "FR"},
)
"""A table of card payments, for a project without one."""


def describe(frame: pd.DataFrame, *, event_time: str, label: str) -> Table:
    """Describe `frame`: one row an event, with its time (with a zone) and its label (null where it is unknown).

    Numbers are numeric features; texts, booleans and categories categorical ones. `prediction_id`, `key` and `known_at`
    (when a label was known) keep the meaning that they have in a rehearsal. Raises InvalidInputError, which names the
    column and the remedy.
    """
    import pandas as pd

    for name, option in ((event_time, "--event-time"), (label, "--label")):
        if name in frame.index.names:
            raise InvalidInputError(
                f"{name!r} is the index of the table and no column; make it one: `frame.reset_index().to_parquet(...)`"
            )
        if name not in frame:
            there = ", ".join(map(str, frame.columns))
            raise InvalidInputError(f"the table has no column {name!r}, but {there}; name the right one with {option}")
    if frame.columns.has_duplicates:
        raise InvalidInputError("two columns of the table have the same name; rename one")
    frame = frame.reset_index(drop=True)  # of a table that was put together its numbers come again
    times = columns.times(frame[event_time])
    labels = frame[label][frame[label].notna()]
    if labels.empty:
        raise InvalidInputError(f"no row of the table has a {label!r}; name the right column with --label")
    shares = labels.groupby(columns.texts(labels)).size().sort_values(ascending=False, kind="stable") / len(labels)
    by_label = {str(name): float(share) for name, share in shares.items()}
    features, left_out = _features(frame.drop(columns=[event_time, label]).iloc[times.argsort()])
    if not features:
        raise InvalidInputError(f"no column of the table is a feature: {_reasons(left_out)}")
    known = None
    if KNOWN_AT in frame:
        late = columns.times(frame[KNOWN_AT][labels.index]) - times[labels.index]
        known = pd.Timedelta(late.quantile(_LABELLED)) / pd.Timedelta(hours=1)
    days = times[labels.index].dt.floor("D").to_numpy()
    due = times <= times[labels.index].max()  # the others may still get theirs
    span = times.max() - times.min()
    return Table(
        schema=_schema(features, by_label),
        shares=by_label,
        rows=len(frame),
        first_day=times.min().date(),
        days=max(span.total_seconds() / 86_400, 1.0),
        label_delay_hours=None if known is None else ceil(max(known, 0.0) * 10) / 10,
        label_share=len(labels) / int(due.sum()),
        rows_per_observation=round(design_effect(columns.texts(labels).astype(str), days).rows, 1),
        group=_group(frame, features),
        typical={each.name: _typical(frame[each.name], each) for each in features},
        left_out=left_out,
    )


def _schema(features: Sequence[Feature], shares: Mapping[str, float]) -> ModelSchema:
    try:
        return ModelSchema(features=tuple(features), task=task_of_kind(DEFAULT_KIND).of_labels(shares))
    except ValidationError as error:
        raise InvalidInputError(f"no model can be made of the table: {fields_of(error)}") from error


def _features(frame: pd.DataFrame) -> tuple[list[Feature], dict[str, str]]:
    features, left_out = [], {}
    for name in frame.columns:
        found = _kind(str(name), frame[name])
        if isinstance(found, Feature):
            features.append(found)
        else:
            left_out[str(name)] = found
    return features, left_out


def _kind(name: str, values: pd.Series[Any]) -> Feature | str:
    """Return the feature of a column, or the reason to leave the column out; `values` are in the order of events."""
    if name in _OF_A_REHEARSAL:
        return "what a rehearsal takes it for"
    if values.isna().all():
        return "null in all rows"
    dtype = getattr(values.dtype, "numpy_dtype", values.dtype)
    if getattr(dtype, "kind", "O") in "iuf":
        return _number(name, values)
    try:
        texts = columns.texts(values)
    except InvalidInputError:
        try:
            columns.numbers(values)
        except InvalidInputError as error:
            return error.told
        return _number(name, values)
    known = {str(text) for text in texts if text is not None}
    if all(map(_DATE.match, known)):
        return "dates, each of which comes and goes; write what matters of them as a number, such as an age in days"
    if len(known) > _MOST_CATEGORIES:
        return f"more than {_MOST_CATEGORIES} different texts: an id, or something to be grouped first"
    return _made(name, "categorical")


def _number(name: str, values: pd.Series[Any]) -> Feature | str:
    """Return the numeric feature of a column, or the reason to leave the column out.

    A number that only rises is left out, because new values always exceed those that a model has learned from.
    """
    numbers = columns.numbers(values)
    there = numbers[~np.isnan(numbers)]
    if len(np.unique(there)) > _MOST_STEPS and (np.diff(there) >= 0).all():
        return "it only rises with the time: a clock or a running number"
    return _made(name, "numeric")


def _made(name: str, kind: Literal["numeric", "categorical"]) -> Feature | str:
    try:
        check_feature_name(name)
    except InvalidNameError as error:
        return error.message
    return Feature(name=name, kind=kind)


def _group(frame: pd.DataFrame, features: Sequence[Feature]) -> Group:
    """Return the categorical feature with the largest second category, or else the number that halves the rows best."""
    best, group = 0.0, None
    for each in features:
        if each.kind == "categorical":
            shares = frame[each.name].value_counts(normalize=True).tolist()
            second = shares[1] if len(shares) > 1 else 0.0
            if second > best:
                best, group = second, Group(each.name)
    if group is not None:
        return group
    for each in features:
        if each.kind == "numeric":
            values = columns.numbers(frame[each.name])
            median = float(np.nanmedian(values))
            smaller = min(float((values > median).mean()), float((values <= median).mean()))
            if smaller > best:
                best, group = smaller, Group(each.name, split_at=median)
    if group is None:
        raise InvalidInputError(
            "no feature has two values, so there are no groups to compare a version by; give one that has"
        )
    return group


def _typical(values: pd.Series[Any], feature: Feature) -> float | str:
    if feature.kind == "numeric":
        return float(np.nanmedian(columns.numbers(values)))
    known = values[values.notna()]
    return str(columns.texts(known.mode().iloc[:1])[0])


def _reasons(left_out: Mapping[str, str]) -> str:
    return "; ".join(f"{name!r}: {why}" for name, why in left_out.items()) or "there is none beside time and label"
