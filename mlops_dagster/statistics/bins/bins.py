"""Bins: the cells into which the values of one column are sorted when they are counted.

Bins are fitted once per model schema and kept by later versions, so the counts of any two versions and any two hours
have the same shape: they can be added and compared. A feature that has left its bins gets new ones (docs/decisions/0025
and 0028).
"""

from collections.abc import Mapping
from typing import TypeAlias

import numpy as np

from mlops_dagster.errors import InvalidInputError
from mlops_dagster.statistics.bins.categorical import CategoricalBins
from mlops_dagster.statistics.bins.numeric import NumericBins

Bins: TypeAlias = NumericBins | CategoricalBins


def bins_to_json(bins: Bins) -> dict[str, object]:
    """Return the bins as JSON can hold them; floats keep every bit.

    >>> bins_to_json(NumericBins(edges=(0.5,)))
    {'kind': 'numeric', 'edges': [0.5]}
    """
    if isinstance(bins, NumericBins):
        return {"kind": "numeric", "edges": list(bins.edges)}
    return {"kind": "categorical", "categories": list(bins.categories)}


def bins_from_json(document: Mapping[str, object]) -> Bins:
    """Return the bins that `bins_to_json` wrote; raises InvalidInputError for anything else."""
    match document:
        case {"kind": "numeric", "edges": [*edges]} if all(type(edge) in (int, float) for edge in edges):
            return NumericBins(edges=tuple(np.asarray(edges, dtype=np.float64).tolist()))
        case {"kind": "categorical", "categories": [*categories]}:
            return CategoricalBins(categories=tuple(str(category) for category in categories))
        case _:
            raise InvalidInputError(f"these are not bins as bins_to_json writes them: {document}")
