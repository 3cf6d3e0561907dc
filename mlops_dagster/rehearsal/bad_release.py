"""Ways in which the training data of a release can be wrong while its own card looks fine, and which of them hurt."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Literal

import numpy as np

from mlops_dagster.schema import ModelSchema

if TYPE_CHECKING:
    import pandas as pd

SEED = 2013
FACTORS = (100.0, 0.01)
"""As of euros and cents, or metres and centimetres: the training data has so many times the traffic's numbers."""
HURTS = 0.05
"""A single feature in other units that costs less accuracy is no test of a policy: then all are."""


@dataclass(frozen=True)
class BadRelease:
    """A version that was fitted and judged on data that is unlike its traffic.

    `units`: the numbers of `features` are `factor` times those of the traffic. `codes`: the categories of `features`
    are mixed up, each for another. `labels`: the labels are in random order.
    """

    kind: Literal["units", "codes", "labels"]
    features: tuple[str, ...] = ()
    factor: float = 1.0
    at: datetime | None = None
    """When it is released; None for a time of the rehearsal's choosing."""
    expected_loss: float | None = None
    """Share of the answers that are right with sound rows and wrong with such ones; None if it was not measured."""

    @property
    def name(self) -> str:
        """What is wrong with it, in a few words.

        >>> BadRelease("units", ("amount",), 100).name
        'amount in other units (x 100)'
        """
        features = self.features[0] if len(self.features) == 1 else f"all {len(self.features)} numbers"
        match self.kind:
            case "units":
                return f"{features} in other units (x {self.factor:.3g})"
            case "codes":
                return f"{features} with its codes mixed up"
            case "labels":
                return "labels in random order"

    def spoil(self, rows: pd.DataFrame) -> pd.DataFrame:
        """The training set as this release has it; the same each time."""
        match self.kind:
            case "units":
                return rows.assign(**{name: rows[name] * self.factor for name in self.features})
            case "codes":
                return rows.assign(**{name: rows[name].map(_mixed(rows[name])) for name in self.features})
            case "labels":
                return rows.assign(label=np.random.default_rng(SEED).permutation(rows["label"].to_numpy()))


def choose_bad_releases(
    schema: ModelSchema, rows: pd.DataFrame, predict: Callable[[pd.DataFrame], Sequence[str]]
) -> Iterator[BadRelease]:
    """The numbers whose units and the categories whose codes matter most to a sound model, and mixed labels.

    Args:
        schema: of the model.
        rows: those that the sound model was judged on, with `label`.
        predict: the sound model's labels of such rows.
    """
    right = _share_right(rows, predict)

    def measured(release: BadRelease) -> BadRelease:
        """A model of spoilt rows fares with sound ones as a sound model does with rows that are spoilt the other way.

        For codes that is another order of them, which hurts as much.
        """
        inverse = replace(release, factor=1 / release.factor)
        return replace(release, expected_loss=right - _share_right(inverse.spoil(rows), predict))

    numeric = tuple(each.name for each in schema.features if each.kind == "numeric")
    texts = [each.name for each in schema.features if each.kind == "categorical" and rows[each.name].nunique() > 1]
    units = [measured(BadRelease("units", (name,), factor)) for name in numeric for factor in FACTORS]
    codes = [measured(BadRelease("codes", (name,))) for name in texts]
    if units:
        worst = max(units, key=_loss)
        if _loss(worst) < HURTS and len(numeric) > 1:
            worst = max((measured(BadRelease("units", numeric, factor)) for factor in FACTORS), key=_loss)
        yield worst
    if codes:
        yield max(codes, key=_loss)
    shuffled = BadRelease("labels")
    frequent = float(rows["label"].value_counts(normalize=True).iloc[0])
    yield replace(shuffled, expected_loss=max(right - frequent, 0.0))


def _share_right(rows: pd.DataFrame, predict: Callable[[pd.DataFrame], Sequence[str]]) -> float:
    return float(np.mean(np.asarray(predict(rows), dtype=object) == rows["label"].to_numpy(dtype=object)))


def _loss(release: BadRelease) -> float:
    return release.expected_loss or 0.0


def _mixed(values: pd.Series[str]) -> dict[str, str]:
    """Each category to the next in a random order: no one stays itself."""
    known = sorted(values.dropna().unique())
    order = [known[place] for place in np.random.default_rng(SEED).permutation(len(known))]
    return dict(zip(order, [*order[1:], *order[:1]], strict=True))
