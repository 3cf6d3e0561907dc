"""Regimes: a column that changed its distribution within the training set, which then describes neither time well."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from mlops_dagster.errors import InvalidInputError
from mlops_dagster.registry.entities.design_effects import design_effect_of
from mlops_dagster.statistics.bins.bins import bins_to_json
from mlops_dagster.statistics.bins.histogram import Histogram
from mlops_dagster.statistics.design_effects.design_effect import DesignEffect


@dataclass(frozen=True)
class Regimes:
    """The time at which a column of the training set changed, and the counts of its rows since then."""

    since: datetime
    """Time with zone of the first row of the newer regime."""
    psi: float
    """PSI between the older and the newer rows."""
    newer: Histogram
    """Counts of the newer rows, in the bins of the baseline."""
    effect: DesignEffect
    """Design effect of the newer rows alone: over all rows, the change would count as a shared cause."""

    def __str__(self) -> str:
        """Return a phrase to follow the name of the column.

        >>> import numpy as np
        >>> from datetime import UTC
        >>> from mlops_dagster.statistics import NumericBins
        >>> newer = Histogram(NumericBins((0.0,)), np.array([0, 30, 10]))
        >>> str(Regimes(datetime(2013, 3, 2, tzinfo=UTC), 0.3, newer, DesignEffect()))
        'is of two regimes, split at 2013-03-02 (PSI 0.300 between them), with 40 rows since'
        """
        return (
            f"is of two regimes, split at {self.since:%Y-%m-%d} (PSI {self.psi:.3f} between them), "
            f"with {self.newer.total:,} rows since"
        )

    def to_json(self) -> dict[str, object]:
        return {
            "since": self.since.isoformat(),
            "psi": self.psi,
            "newer": self.newer.counts.tolist(),
            "effect": self.effect._asdict(),
        }


def regimes_of(data: object, columns: Mapping[str, Histogram]) -> dict[str, Regimes]:
    """Return the regimes by column, from JSON; raises InvalidInputError."""
    if not isinstance(data, Mapping):
        raise InvalidInputError(f"not regimes as to_json writes them: {data}")
    return {str(name): _regimes(str(name), each, columns) for name, each in data.items()}


def _regimes(name: str, data: object, columns: Mapping[str, Histogram]) -> Regimes:
    match data:
        case {"since": str(since), "psi": int() | float() as psi, "newer": [*counts], "effect": effect} if (
            name in columns and math.isfinite(psi)
        ):
            newer = Histogram.from_json({"bins": bins_to_json(columns[name].bins), "counts": counts})
            return Regimes(_time(since), float(psi), newer, design_effect_of(effect))
    raise InvalidInputError(f"not the regimes of a column as to_json writes them: {name!r}, {data}")


def _time(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidInputError(f"regimes begin at a time, not {text!r}") from error
    if found.tzinfo is None:
        raise InvalidInputError(f"regimes begin at a time with a zone, not {text!r}")
    return found
