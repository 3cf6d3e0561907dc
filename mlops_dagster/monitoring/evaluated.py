"""What a version's evaluation adds to its baseline: how its wrong answers go together, and where they are."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from mlops_dagster.monitoring.policy import wrong_answers
from mlops_dagster.registry.baseline import Baseline, Evaluated
from mlops_dagster.registry.cards import OVERALL
from mlops_dagster.statistics import rate_design_effect

if TYPE_CHECKING:
    import pandas as pd


def with_evaluation(
    baseline: Baseline,
    rows: "pd.DataFrame",
    wrong: npt.NDArray[np.bool_],
    slices: Mapping[str, npt.NDArray[np.int64]],
) -> Baseline:
    """The baseline, and with it what the rows say that the version was evaluated on, and which of them it got wrong.

    `rows` have the features and `event_time`; `slices` are the positions of the rows of each, but for the one of all.
    The design effects are of days in UTC, as those by which later answers are judged; one day alone has none.
    """
    days = rows["event_time"].dt.floor("D").to_numpy()
    parts = {OVERALL: np.arange(len(rows)), **slices}
    shared = {
        wrong_answers(name): rate_design_effect(list(_by_day(days[its], wrong[its]))) for name, its in parts.items()
    }
    evaluated = {}
    for name, histogram in baseline.features.items():
        cells, size = histogram.bins.index(rows[name].to_numpy()), histogram.bins.size
        counted = np.bincount(cells, minlength=size), np.bincount(cells[wrong], minlength=size)
        evaluated[name] = Evaluated(*(tuple(each.tolist()) for each in counted))
    effects = {name: effect for name, effect in shared.items() if effect is not None}
    return replace(baseline, design_effects={**baseline.design_effects, **effects}, evaluated=evaluated)


def _by_day(days: npt.NDArray[np.datetime64], wrong: npt.NDArray[np.bool_]) -> Iterator[tuple[int, int]]:
    for day in np.unique(days):
        its = wrong[days == day]
        yield int(its.sum()), len(its)
