"""The champion beside a candidate: what is known of days that favour one of them, and what is said where it is not."""

from datetime import timedelta

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

from mlops_dagster.errors import ArtifactNotFoundError
from mlops_dagster.registry.estimators import Estimator
from mlops_dagster.retraining.beside_champion import PresentChampion, beside_champion
from mlops_dagster.schema import Feature, ModelSchema
from mlops_dagster.statistics import DesignEffect, difference_design_effect
from mlops_dagster.tasks import Classification
from tests.support.two_versions import MARCH

SCHEMA = ModelSchema(
    features=(Feature(name="x", kind="numeric", nullable=False),), task=Classification(classes=("ok", "bad"))
)


class Says:
    """A champion that says "bad" where x is over a half."""

    classes_ = np.array(["bad", "ok"])

    def predict_proba(self, X: pd.DataFrame) -> npt.NDArray[np.float64]:  # noqa: N803
        bad = (X["x"].to_numpy() > 0.5).astype(np.float64)
        return np.stack([bad, 1 - bad], axis=1)


def champion(estimator: Estimator | None = None, schema: ModelSchema | None = SCHEMA) -> PresentChampion:
    return PresentChampion("1.4.0", schema, lambda: estimator or Says())


def rows(days: int, per_day: int = 50) -> pd.DataFrame:
    """The label is "ok"; the champion is wrong on all rows of every other day."""
    day = np.repeat(np.arange(days), per_day)
    return pd.DataFrame(
        {"x": (day % 2).astype(np.float64), "label": "ok", "event_time": [MARCH + timedelta(days=int(d)) for d in day]}
    )


def wrong(frame: pd.DataFrame) -> npt.NDArray[np.bool_]:
    """Where the candidate is: in every fifth row."""
    found: npt.NDArray[np.bool_] = np.arange(len(frame)) % 5 == 0
    return found


def test_wins_and_losses_of_each_day_are_counted() -> None:
    found = beside_champion(champion(), frame := rows(8), wrong(frame), None)
    assert found.effect == difference_design_effect([(0, 10, 40), (40, 0, 10)] * 4)
    assert found.sentence == (
        "Days share causes: 38.3 rows count as one observation when compared with the champion (1.4.0; from 8 days)."
    )


@pytest.mark.parametrize("days", [2, 6, 7])
def test_with_few_days_the_larger_of_it_and_of_wrong_answers_is_taken(days: int) -> None:
    small, large = DesignEffect(1.0), DesignEffect(400.0)
    frame = rows(days)
    own = beside_champion(champion(), frame, wrong(frame), small).effect
    assert own not in (None, small, large)
    found = beside_champion(champion(), frame, wrong(frame), large)
    assert found.effect == (large if days < 7 else own)
    assert ("400.0 rows" in found.sentence, "days are few" in found.sentence) == (days < 7, days < 7)


def test_one_day_says_nothing_and_no_champion_neither() -> None:
    found = beside_champion(champion(), frame := rows(1), wrong(frame), DesignEffect(5.0))
    assert (found.effect, "not known: fewer than two days" in found.sentence) == (None, True)
    assert beside_champion(None, frame, wrong(frame), DesignEffect(5.0)) == (None, "")


def test_rows_that_its_schema_refuses_are_left_out() -> None:
    frame = rows(8)
    frame.loc[[3, 70], "x"] = None
    found = beside_champion(champion(), frame, np.zeros(400, dtype=np.bool_), None)
    assert found.effect == difference_design_effect([(0, 0, 49), (49, 0, 0)] + [(0, 0, 50), (50, 0, 0)] * 3)


class Raises(Says):
    def predict_proba(self, X: pd.DataFrame) -> npt.NDArray[np.float64]:  # noqa: N803
        raise ValueError(f"Input X contains infinity, among {len(X)} rows")


class Odd(Says):
    def predict_proba(self, X: pd.DataFrame) -> npt.NDArray[np.float64]:  # noqa: N803
        return super().predict_proba(X) * np.nan


def lost() -> Estimator:
    raise ArtifactNotFoundError("no artifact 12ab; restore a backup")


OTHER = ModelSchema(features=(Feature(name="y", kind="numeric"),), task=Classification(classes=("ok", "bad")))


@pytest.mark.parametrize(
    ("present", "why"),
    [
        (champion(schema=None), "it was registered without a schema"),
        (champion(schema=OTHER), "it takes y, and they have no such column"),
        (champion(Raises()), "version 1.4.0 raised ValueError"),
        (champion(Odd()), "not all of them finite"),
        (PresentChampion("1.4.0", SCHEMA, lost), "no artifact 12ab; restore a backup"),
    ],
    ids=["no schema", "other columns", "raises", "no numbers", "not loaded"],
)
def test_a_champion_that_cannot_score_leaves_it_unknown_and_says_why(present: PresentChampion, why: str) -> None:
    found = beside_champion(present, frame := rows(8), wrong(frame), DesignEffect(5.0))
    assert found.effect is None
    assert found.sentence.startswith("How many rows count as one observation when compared with the champion is not")
    assert why in found.sentence
