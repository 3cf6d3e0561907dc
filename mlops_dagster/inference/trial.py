"""Made-up rows for the trial of a version before it answers any request."""

import math
from typing import Final, TypeAlias

import numpy as np

from mlops_dagster.registry import Baseline
from mlops_dagster.schema import Feature, ModelSchema
from mlops_dagster.statistics import CategoricalBins, Histogram, NumericBins

_Values: TypeAlias = "list[float | str | None]"

ROWS = 32
ALONE: Final = 4
"""The number of these rows that are also scored alone."""


def trial_columns(schema: ModelSchema, baseline: Baseline | None, rows: int = ROWS) -> dict[str, _Values]:
    """Return made-up values by feature, with the frequencies of the baseline's bins if it has the feature.

    For a feature without bins, a number is normal with a deviation of 10 (the first is 0), and a category is empty. The
    values are the same at every call.
    """
    generator = np.random.default_rng(0)
    references = {} if baseline is None else baseline.features
    return {feature.name: _drawn(feature, references.get(feature.name), rows, generator) for feature in schema.features}


def _drawn(feature: Feature, reference: Histogram | None, rows: int, generator: np.random.Generator) -> _Values:
    fits = reference is not None and isinstance(reference.bins, NumericBins) is (feature.kind == "numeric")
    values = _values(reference.bins) if reference is not None and fits else []
    weights = np.array(reference.counts, dtype=np.float64) if reference is not None and fits else np.empty(0)
    for cell, value in enumerate(values):
        if value is None and (cell > 0 or not feature.nullable):
            weights[cell] = 0.0
    if len(values) and weights.sum() > 0:
        drawn = generator.choice(len(values), rows, p=weights / weights.sum())
        return [values[cell] for cell in drawn.tolist()]
    if feature.kind == "categorical":
        return [""] * rows
    return [0.0, *generator.normal(scale=10, size=rows - 1).tolist()]


def _values(bins: NumericBins | CategoricalBins) -> _Values:
    """Return a value for each cell; None for the missing, and for categories without a name."""
    if isinstance(bins, CategoricalBins):
        return [None, *bins.categories, None]
    if not bins.edges:
        return [None, 0.0]
    between = [_inside(low, high) for low, high in zip(bins.edges[:-1], bins.edges[1:], strict=True)]
    return [None, math.nextafter(bins.edges[0], -math.inf), *between, bins.edges[-1]]


def _inside(low: float, high: float) -> float:
    """Return a value with low <= value < high: a whole number, if there is one."""
    whole = math.ceil(low)
    return float(whole) if whole < high else low / 2 + high / 2
