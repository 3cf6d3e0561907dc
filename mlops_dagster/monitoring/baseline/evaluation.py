"""Evidence that a version's evaluation adds to its baseline: design effects of wrong answers, and their groups."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from mlops_dagster.monitoring.policy import beside, wrong_answers
from mlops_dagster.registry.cards import OVERALL
from mlops_dagster.registry.entities.baseline import Baseline, Evaluated
from mlops_dagster.statistics import DesignEffect, beside_design_effect, psi_groups, rate_design_effect

if TYPE_CHECKING:
    import pandas as pd


def with_evaluation(
    baseline: Baseline,
    rows: "pd.DataFrame",
    wrong: npt.NDArray[np.bool_],
    slices: Mapping[str, npt.NDArray[np.int64]],
) -> Baseline:
    """Return `baseline` with the counts and design effects of the rows that the version was evaluated on.

    `rows` have the features and `event_time`; `wrong` marks the wrongly answered rows; `slices` holds the row positions
    of each slice, without the slice of all rows.
    The design effects are of days in UTC, like the days by which later answers are judged; one day alone has none. For
    the groups of a feature they measure the variation that is left without the loss common to all groups of a day.
    """
    days = rows["event_time"].dt.floor("D").to_numpy()
    parts = {OVERALL: np.arange(len(rows)), **slices}
    shared = {
        wrong_answers(name): rate_design_effect(list(_by_day(days[its], wrong[its]))) for name, its in parts.items()
    }
    evaluated = {}
    day = np.unique(days, return_inverse=True)[1].astype(np.intp)
    for name, histogram in baseline.features.items():
        cells, size = histogram.bins.index(rows[name].to_numpy()), histogram.bins.size
        counted = np.bincount(cells, minlength=size), np.bincount(cells[wrong], minlength=size)
        evaluated[name] = Evaluated(*(tuple(each.tolist()) for each in counted))
        shared[beside(name)] = _beside(psi_groups(histogram)[cells], day, wrong)
    effects = {name: effect for name, effect in shared.items() if effect is not None}
    return replace(
        baseline,
        design_effects={**baseline.design_effects, **effects},
        evaluated=evaluated,
        evaluated_days=tuple(_by_day(days, wrong)),
    )


def _by_day(days: npt.NDArray[np.datetime64], wrong: npt.NDArray[np.bool_]) -> Iterator[tuple[int, int]]:
    for day in np.unique(days):
        its = wrong[days == day]
        yield int(its.sum()), len(its)


def _beside(
    groups: npt.NDArray[np.intp], days: npt.NDArray[np.intp], wrong: npt.NDArray[np.bool_]
) -> DesignEffect | None:
    shape = int(days.max()) + 1, int(groups.max()) + 1
    cell = days * shape[1] + groups
    trials, bad = (np.bincount(its, minlength=shape[0] * shape[1]).reshape(shape) for its in (cell, cell[wrong]))
    return beside_design_effect(bad, trials)
