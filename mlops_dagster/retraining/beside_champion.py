"""The comparison of a candidate with the champion on the evaluated rows, for the design effect of their difference."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mlops_dagster.errors import ModelFailedError, told
from mlops_dagster.inference import Scorer
from mlops_dagster.registry import ModelRegistry, ModelVersion
from mlops_dagster.registry.estimators import Estimator
from mlops_dagster.schema import ModelSchema
from mlops_dagster.statistics import DesignEffect, difference_design_effect

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd

ENOUGH_DAYS = 7
"""With fewer days, their variation in the difference is too uncertain: that of wrong answers is used too."""


MOST_LOST = 0.05
"""A larger loss than seasons cause. A champion that loses so much was given rows unlike those it serves (other
units, a broken feed): the difference of the two there does not predict their difference in service."""


class PresentChampion(NamedTuple):
    """The version that a candidate is to replace; its estimator is loaded only when needed."""

    version: str
    schema: ModelSchema | None
    load: Callable[[], Estimator]
    accuracy: float | None = None
    """The accuracy on its card; None if the card has none."""

    @classmethod
    def of(cls, version: ModelVersion | None, registry: ModelRegistry) -> PresentChampion | None:
        """Return the champion for comparison; None if `version` is None."""
        if version is None:
            return None
        overall = None if version.card is None else version.card.overall
        accuracy = None if overall is None else overall.metrics.get("accuracy")
        return cls(version.version, version.schema, lambda: registry.load(version), accuracy)


class Beside(NamedTuple):
    """The number of rows that are worth one observation when both versions scored them."""

    effect: DesignEffect | None
    """The design effect of the daily difference; None if unknown."""
    sentence: str
    """The effect in plain words, for the card; empty without a champion."""


def beside_champion(
    champion: PresentChampion | None,
    rows: pd.DataFrame,
    wrong: npt.NDArray[np.bool_],
    of_wrong: DesignEffect | None,
) -> Beside:
    """Return the design effect of the daily difference between candidate and champion.

    `wrong` marks the rows that the candidate answers wrong; `rows` have the features, `label` and `event_time`. If the
    champion was fitted on some of them, it is too good there: that moves the mean of the difference, which is not used
    here, and hardly its variation between days. With under `ENOUGH_DAYS` days, the larger of it and the effect of wrong
    answers, `of_wrong`, is taken. A champion that cannot be loaded, or cannot score such rows, leaves the effect
    unknown and is not an error.
    """
    if champion is None:
        return Beside(None, "")
    try:
        scored, its_wrong = _wrong_of(champion, rows)
    except Exception as error:  # any error: it is a failure of the champion, not of the candidate
        why = f"the champion {champion.version} cannot score the evaluated rows: {told(error)}"
        return Beside(None, _unknown(why))
    if (strange := _strange(champion, its_wrong)) is not None:
        return Beside(None, _unknown(strange))
    blocks = _by_day(rows["event_time"][scored], wrong[scored].astype(np.int64) - its_wrong)
    effect = difference_design_effect(blocks)
    if effect is None:
        return Beside(None, _unknown("fewer than two days were evaluated, or a row a day"))
    days = f"{len(blocks)} days"
    if len(blocks) < ENOUGH_DAYS and of_wrong is not None and of_wrong.of_many_blocks > effect.of_many_blocks:
        effect, days = of_wrong, f"wrong answers, as {days} are few"
    return Beside(
        effect,
        f"Days share causes: {effect.of_many_blocks:,.1f} rows count as one observation when compared with the "
        f"champion ({champion.version}; from {days}).",
    )


def _wrong_of(champion: PresentChampion, rows: pd.DataFrame) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.int64]]:
    """Return a mask of rows that its schema accepts, and 1 for each wrong one of these; raises any error it raises."""
    schema = champion.schema
    if schema is None:
        raise ModelFailedError("it was registered without a schema")
    lacking = [name for name in schema.names if name not in rows]
    if lacking:
        raise ModelFailedError(f"it takes {', '.join(lacking)}, and they have no such column")
    required = [feature.name for feature in schema.features if not feature.nullable]
    scored = rows[required].notna().all(axis=1).to_numpy()
    asked = rows[scored]
    if asked.empty:
        raise ModelFailedError(f"none of them has all of {', '.join(required)}")
    labels = np.array(Scorer(champion.version, schema, champion.load()).score_many(asked).labels, dtype=np.object_)
    its_wrong = schema.task.wrong(labels, asked["label"].to_numpy())
    return scored, its_wrong.astype(np.int64)


def _strange(champion: PresentChampion, its_wrong: npt.NDArray[np.int64]) -> str | None:
    """Return the reason why these rows are unlike those that the champion serves; None if they are alike."""
    right = 1 - float(its_wrong.mean())
    if champion.accuracy is None or right >= champion.accuracy - MOST_LOST:
        return None
    return (
        f"the champion {champion.version} is right on {right:.3f} of the evaluated rows and on {champion.accuracy:.3f} "
        "of those of its card, so they are unlike what it serves"
    )


def _by_day(times: pd.Series[pd.Timestamp], difference: npt.NDArray[np.int64]) -> Sequence[tuple[int, int, int]]:
    """Return wins, losses and ties of each day in UTC, in order; a difference of 1 is a loss, -1 a win."""
    day = np.unique(times.dt.floor("D").to_numpy(), return_inverse=True)[1]
    wins, losses, ties = (np.bincount(day[difference == each], minlength=day.max() + 1) for each in (-1, 1, 0))
    return list(zip(wins.tolist(), losses.tolist(), ties.tolist(), strict=True))


def _unknown(why: str) -> str:
    return f"How many rows count as one observation when compared with the champion is not known: {why}."
