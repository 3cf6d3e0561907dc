"""Kinds of bad releases: training data that is wrong while the card looks fine, and the choice of harmful ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

import numpy as np

from mlops_dagster.schema import ModelSchema

if TYPE_CHECKING:
    import pandas as pd

Predict: TypeAlias = "Callable[[pd.DataFrame], Sequence[str]]"
Fit: TypeAlias = "Callable[[pd.DataFrame], Predict]"

SEED = 2013
TRIED = 3
FACTORS = (100.0, 0.01)
"""Ratio of the training data's numbers to the traffic's, as between euros and cents, or metres and centimetres."""
HURTS = 0.05
"""Least loss of accuracy for one feature in other units to test a policy; below it all features are used."""


@dataclass(frozen=True)
class BadRelease:
    """A version that was fitted and evaluated on data that is unlike its traffic.

    `units`: the numbers of `features` are `factor` times those of the traffic. `codes`: the categories of `features`
    are mixed up, each replaced by another. `labels`: the labels are in random order.
    """

    kind: Literal["units", "codes", "labels"]
    features: tuple[str, ...] = ()
    factor: float = 1.0
    at: datetime | None = None
    """The time of the release; None for a time that the rehearsal chooses."""
    expected_loss: float | None = None
    """The expected loss of the share of right answers; None if it was not measured."""

    @property
    def name(self) -> str:
        """The fault of the release, in a few words.

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
        """Return the training set as this release has it; the same each time."""
        match self.kind:
            case "units":
                return rows.assign(**{name: rows[name] * self.factor for name in self.features})
            case "codes":
                return rows.assign(**{name: rows[name].map(_mixed(rows[name])) for name in self.features})
            case "labels":
                return rows.assign(label=np.random.default_rng(SEED).permutation(rows["label"].to_numpy()))


def choose_bad_releases(
    schema: ModelSchema, fitted_on: pd.DataFrame, judged_on: pd.DataFrame, fit: Fit
) -> Iterator[BadRelease]:
    """Yield the most harmful release with wrong units, the one with mixed-up codes, and the one with random labels.

    The harm is the error of a model fitted on spoilt rows, measured on sound ones, beyond the error that its own
    evaluation on spoilt rows shows. Fitting takes time, so only the features that matter most to a sound model are
    tried.

    Args:
        schema: the schema of the model.
        fitted_on: sound rows with `label`.
        judged_on: later sound rows with `label`.
        fit: fits a model, and returns the function that predicts the labels of rows.
    """
    sound = fit(fitted_on)
    right = _share_right(judged_on, sound)

    def matters(release: BadRelease) -> float:
        """Return the accuracy that a sound model loses on spoilt rows."""
        return right - _share_right(release.spoil(judged_on), sound)

    def measured(release: BadRelease) -> _Measured:
        spoilt = fit(release.spoil(fitted_on))
        in_traffic = _share_right(judged_on, spoilt)
        unseen = _share_right(release.spoil(judged_on), spoilt) - in_traffic
        return _Measured(unseen, replace(release, expected_loss=max(right - in_traffic, 0.0)))

    def worst(releases: Sequence[BadRelease]) -> _Measured:
        return max((measured(each) for each in releases), key=lambda each: each.unseen)

    numeric = tuple(each.name for each in schema.features if each.kind == "numeric")
    texts = [each.name for each in schema.features if each.kind == "categorical" and judged_on[each.name].nunique() > 1]
    units = [BadRelease("units", (name,), factor) for name in numeric for factor in FACTORS]
    codes = [BadRelease("codes", (name,)) for name in texts]
    if units:
        found = worst(sorted(units, key=matters, reverse=True)[:TRIED])
        if found.unseen < HURTS and len(numeric) > 1:
            found = worst([BadRelease("units", numeric, factor) for factor in FACTORS])
        yield found.release
    if codes:
        yield worst(sorted(codes, key=matters, reverse=True)[:TRIED]).release
    yield measured(BadRelease("labels")).release


class _Measured(NamedTuple):
    unseen: float
    """The share of right answers that its own evaluation promises beyond that in the traffic."""
    release: BadRelease


def _share_right(rows: pd.DataFrame, predict: Predict) -> float:
    return float(np.mean(np.asarray(predict(rows), dtype=object) == rows["label"].to_numpy(dtype=object)))


def _mixed(values: pd.Series[str]) -> dict[str, str]:
    """Map each category to the next one in a random order, so that none keeps its own code."""
    known = sorted(values.dropna().unique())
    order = [known[place] for place in np.random.default_rng(SEED).permutation(len(known))]
    return dict(zip(order, [*order[1:], *order[:1]], strict=True))
