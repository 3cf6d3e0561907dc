"""Profiles: the counts of a training set, against which served traffic is held."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy.typing as npt

from mlops_dagster.registry.baseline import Baseline
from mlops_dagster.schema import ModelSchema
from mlops_dagster.statistics import Bins, CategoricalBins, Histogram, NumericBins

if TYPE_CHECKING:
    import pandas as pd

SCORE_BINS = NumericBins(edges=tuple(step / 200 for step in range(1, 200)))
"""The bins of every score: probabilities, so the same for all models and versions."""


def fit_bins(frame: "pd.DataFrame", schema: ModelSchema) -> dict[str, Bins]:
    """Bins for each feature of the schema, fitted on the columns of `frame`.

    Fit them once per schema and pass them on to later baselines: only counts in the same bins compare.

    >>> import pandas as pd
    >>> from mlops_dagster.schema import Feature
    >>> features = (Feature(name="hour", kind="numeric"), Feature(name="origin", kind="categorical"))
    >>> schema = ModelSchema(features=features, classes=("on_time", "late"))
    >>> fit_bins(pd.DataFrame({"hour": [5.0, 6.0], "origin": ["JFK", "EWR"]}), schema)
    {'hour': NumericBins(edges=(5.5,)), 'origin': CategoricalBins(categories=('EWR', 'JFK'))}
    """
    return {
        feature.name: NumericBins.fit(frame[feature.name].to_numpy())
        if feature.kind == "numeric"
        else CategoricalBins.fit(frame[feature.name].tolist())
        for feature in schema.features
    }


def make_baseline(
    frame: "pd.DataFrame",
    schema: ModelSchema,
    *,
    scores: npt.ArrayLike,
    labels: Sequence[str],
    bins: Mapping[str, Bins] | None = None,
) -> Baseline:
    """The counts of a training set: its features, and the scores and labels given beside it.

    `bins` are those of earlier versions with the same schema; without them they are fitted on `frame`.
    `scores` should come from rows that the scoring model was not fitted on: on its own rows it is too sure.
    """
    bins = bins or fit_bins(frame, schema)
    return Baseline(
        features={name: Histogram.of(bins[name], frame[name].tolist()) for name in schema.names},
        score=Histogram.of(SCORE_BINS, scores),
        label=Histogram.of(CategoricalBins(schema.classes), labels),
    )
