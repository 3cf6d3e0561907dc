"""The requirements of a training set, checked before the fit, so that no gate has to refuse the version later."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from mlops_dagster.errors import TrainingDataError
from mlops_dagster.frames.conform import LABEL
from mlops_dagster.registry.cards.fairness import MIN_GROUP_ROWS

if TYPE_CHECKING:
    import pandas as pd

    from mlops_dagster.schema import ModelSchema

MIN_EVALUATION_ROWS = 100
_NAMED = 10


def check_requirements(
    schema: ModelSchema,
    fitted_on: pd.DataFrame,
    judged_on: pd.DataFrame,
    evaluate_from: datetime,
    fairness_attributes: Sequence[str],
) -> None:
    """Raise TrainingDataError if a candidate could not be fitted, evaluated or compared as the gates require.

    `fitted_on` are the rows before `evaluate_from`, `judged_on` the others; the final estimator is fitted on both.
    """
    _check_rows(fitted_on, judged_on, evaluate_from)
    _check_values(schema, fitted_on, judged_on)
    _check_truths(schema, fitted_on, judged_on, evaluate_from)
    for attribute in fairness_attributes:
        _check_groups(attribute, judged_on)


def unjudged_truths(schema: ModelSchema, fitted_on: pd.DataFrame, judged_on: pd.DataFrame) -> tuple[str, ...]:
    """Return sentences that name the truths of which the evaluation says nothing, or only bad; none if all is well."""
    fitted, judged = set(fitted_on[LABEL]), set(judged_on[LABEL])
    lacking = {
        "the evaluated rows": [name for name in schema.task.truths if name not in judged],
        "the rows before the evaluation, so never predicted there": [n for n in schema.task.truths if n not in fitted],
    }
    return tuple(f"in none of {rows}: {_listed(names)}" for rows, names in lacking.items() if names)


def _check_rows(fitted_on: pd.DataFrame, judged_on: pd.DataFrame, evaluate_from: datetime) -> None:
    if fitted_on.empty or len(judged_on) < MIN_EVALUATION_ROWS:
        raise TrainingDataError(
            f"{len(fitted_on)} rows to fit on and {len(judged_on)} to evaluate on from {evaluate_from:%Y-%m-%d}, "
            f"at least 1 and {MIN_EVALUATION_ROWS} are needed; widen `training.window_days` or wait for labels"
        )


def _check_values(schema: ModelSchema, *parts: pd.DataFrame) -> None:
    empty = [name for name in schema.names if all(part[name].isna().all() for part in parts)]
    if empty:
        raise TrainingDataError(
            f"{_listed(empty)} is null in all {sum(map(len, parts))} rows; mend the source, or take it out of SCHEMA"
        )


def _check_truths(
    schema: ModelSchema, fitted_on: pd.DataFrame, judged_on: pd.DataFrame, evaluate_from: datetime
) -> None:
    """Raise TrainingDataError if a truth of the schema does not occur, of a task whose truths can be listed."""
    if not schema.task.truths:
        return
    known = set(fitted_on[LABEL]) | set(judged_on[LABEL])
    if missing := [name for name in schema.task.truths if name not in known]:
        rows = len(fitted_on) + len(judged_on)
        raise TrainingDataError(
            f"none of the {rows} rows has the label {_listed(missing)}, so a version could never answer it; widen "
            "`training.window_days`, or take the class out of SCHEMA"
        )
    if len(before := sorted(set(fitted_on[LABEL]))) < 2:
        raise TrainingDataError(
            f"all {len(fitted_on)} rows before {evaluate_from:%Y-%m-%d} have the label {_listed(before)}, and nothing "
            "can be fitted on one class; widen `training.window_days`, or shorten `training.evaluation_days`"
        )


def _check_groups(attribute: str, judged_on: pd.DataFrame) -> None:
    if attribute not in judged_on:
        there = ", ".join(map(str, judged_on.columns))
        raise TrainingDataError(f"`card.fairness_attribute` names {attribute}; the training set has {there}")
    groups = judged_on[attribute].value_counts(dropna=False)
    if (judged := int((groups >= MIN_GROUP_ROWS).sum())) < 2:
        raise TrainingDataError(
            f"`card.fairness_attribute` names {attribute}, of whose {int((groups > 0).sum())} groups {judged} has the "
            f"{MIN_GROUP_ROWS} evaluated rows that a group is judged on, so no two can be compared, and no version "
            "would pass its gates; name a column with two such groups, or lengthen `training.evaluation_days`"
        )


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(map(repr, names[:_NAMED])) + (f" and {more} more" if more > 0 else "")
