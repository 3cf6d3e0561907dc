"""The present champion beside a candidate, on the rows that the candidate is judged on: how much these rows prove."""

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
"""With fewer, how days differ in the difference is known too roughly: how they differ in wrong answers is asked too."""


MOST_LOST = 0.05
"""More than a season takes. A champion that loses so much is asked about rows unlike those it serves (other
units, a broken feed): how the two differ there says nothing of how they will differ."""


class PresentChampion(NamedTuple):
    """The version that a candidate is to replace; its estimator is loaded when it is asked."""

    version: str
    schema: ModelSchema | None
    load: Callable[[], Estimator]
    accuracy: float | None = None
    """As its card says; None if it does not."""

    @classmethod
    def of(cls, version: ModelVersion | None, registry: ModelRegistry) -> PresentChampion | None:
        """The champion as the registry has it; None before there is one."""
        if version is None:
            return None
        overall = None if version.card is None else version.card.overall
        accuracy = None if overall is None else overall.metrics.get("accuracy")
        return cls(version.version, version.schema, lambda: registry.load(version), accuracy)


class Beside(NamedTuple):
    """How much rows prove that both versions scored."""

    effect: DesignEffect | None
    """Of the daily difference; None where it is not known."""
    sentence: str
    """In plain words, for the card; empty where there is no champion."""


def beside_champion(
    champion: PresentChampion | None,
    rows: pd.DataFrame,
    wrong: npt.NDArray[np.bool_],
    of_wrong: DesignEffect | None,
) -> Beside:
    """The design effect of the daily difference between candidate and champion; `wrong` says where the candidate is.

    `rows` have the features, `label` and `event_time`. The champion was perhaps fitted on some of them, and is then too
    good there: that moves the mean of the difference, which is not asked here, and hardly how days differ in it. With
    under `ENOUGH_DAYS` days the larger of it and the effect of wrong answers, `of_wrong`, is taken. A champion that
    cannot be loaded, or cannot score such rows, leaves the effect unknown and is no error.
    """
    if champion is None:
        return Beside(None, "")
    try:
        scored, its_wrong = _wrong_of(champion, rows)
    except Exception as error:  # of whatever kind: it is the champion's failure, and not the candidate's
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
    """Which rows its schema accepts, and where it is wrong (1) among them; raises whatever it raises."""
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
    its_wrong: npt.NDArray[np.bool_] = labels != asked["label"].to_numpy()
    return scored, its_wrong.astype(np.int64)


def _strange(champion: PresentChampion, its_wrong: npt.NDArray[np.int64]) -> str | None:
    """Why these rows are unlike those that the champion serves; None if they are not."""
    right = 1 - float(its_wrong.mean())
    if champion.accuracy is None or right >= champion.accuracy - MOST_LOST:
        return None
    return (
        f"the champion {champion.version} is right on {right:.3f} of the evaluated rows and on {champion.accuracy:.3f} "
        "of those of its card, so they are unlike what it serves"
    )


def _by_day(times: pd.Series[pd.Timestamp], difference: npt.NDArray[np.int64]) -> Sequence[tuple[int, int, int]]:
    """Wins, losses and ties of each day in UTC, in order; a difference of 1 is a loss, -1 a win."""
    day = np.unique(times.dt.floor("D").to_numpy(), return_inverse=True)[1]
    wins, losses, ties = (np.bincount(day[difference == each], minlength=day.max() + 1) for each in (-1, 1, 0))
    return list(zip(wins.tolist(), losses.tolist(), ties.tolist(), strict=True))


def _unknown(why: str) -> str:
    return f"How many rows count as one observation when compared with the champion is not known: {why}."
