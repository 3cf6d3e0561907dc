"""Baselines made from a training set: its counts in bins, with which served traffic is compared."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from mlops_dagster.frames.columns import texts
from mlops_dagster.frames.conform import values_of
from mlops_dagster.monitoring.baseline.over_time import OverTime, over_time
from mlops_dagster.registry.entities.baseline import Baseline
from mlops_dagster.schema import Feature, ModelSchema
from mlops_dagster.statistics import (
    Bins,
    CategoricalBins,
    Column,
    Histogram,
    NumericBins,
)

if TYPE_CHECKING:
    import pandas as pd

_BLIND = 0.1  # share of the values in one cell: as many as one PSI group has, within which no change is visible anyway


def _fitted(frame: "pd.DataFrame", schema: ModelSchema) -> dict[str, Histogram]:
    """Return the counts of each feature, in bins that are fitted on its values."""
    return {feature.name: _fitted_to(feature, values_of(frame, feature)) for feature in schema.features}


def _fitted_to(feature: Feature, values: Column) -> Histogram:
    if feature.kind == "numeric":
        return Histogram(*NumericBins.fit_and_count(values))
    return Histogram(*CategoricalBins.fit_and_count(values))


def _counted(feature: Feature, values: Column, bins: Bins) -> Histogram:
    """Count `values` in `bins`, or in new bins if `bins` tell too few of the values apart and new ones do better."""
    blind = bins.blind_share(values)
    if blind > _BLIND:
        fitted = _fitted_to(feature, values)
        if fitted.bins.blind_share(values) < blind / 2:
            return fitted
    return Histogram.of(bins, values)


def make_baseline(
    frame: "pd.DataFrame",
    schema: ModelSchema,
    *,
    scores: npt.ArrayLike,
    labels: Sequence[str | int | bool] | npt.NDArray[np.object_],
    bins: Mapping[str, Bins] | None = None,
    times: "pd.Series[pd.Timestamp] | None" = None,
    score_times: "pd.Series[pd.Timestamp] | None" = None,
) -> Baseline:
    """Return the baseline of a training set: the counts of its features, scores and labels.

    `bins` are the bins of earlier versions with the same schema, so that counts compare; without them, bins are fitted
    on `frame`. The bins of a feature that has left them are fitted anew: where more than a tenth of its rows share a
    cell (all above the largest price of the first training set, all categories that are new since), the next drift
    would not be seen.
    `scores` should come from rows that the scoring model was not fitted on: on its training rows it is overconfident.
    `times` are the times of the rows, and `score_times` those of the scores. With them the baseline has design effects,
    which tell drift from the usual difference between days, and the columns that changed within the training set
    (`Baseline.regimes`). Without them rows are taken to be independent.
    """
    import pandas as pd

    if bins:
        features = {
            feature.name: _counted(feature, values_of(frame, feature), bins[feature.name])
            for feature in schema.features
        }
    else:
        features = _fitted(frame, schema)
    labels = texts(pd.Series(labels, name="label", dtype=object))
    label = Histogram.of(schema.task.truth_bins(labels.tolist()), labels)
    score = Histogram.of(schema.task.score_bins(np.asarray(scores)), scores)
    found: dict[str, OverTime] = {}
    alike = len(features) + 2  # with scores and labels
    if times is not None:
        columns = {each.name: (values_of(frame, each), features[each.name].bins) for each in schema.features}
        for name, (values, its) in {**columns, "label": (labels, label.bins)}.items():
            found[name] = over_time(values, its, times, columns=alike)
    if score_times is not None:
        found["score"] = over_time(np.asarray(scores), score.bins, score_times, is_score=True, columns=alike)
    return Baseline(
        features,
        score,
        label,
        design_effects={name: each.effect for name, each in found.items()},
        regimes={name: each.regimes for name, each in found.items() if each.regimes is not None},
    )
