"""What a training set lacks is said before anything is fitted; what is judged is what is served."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from mlops_dagster.errors import ModelFailedError, TrainingDataError
from mlops_dagster.registry import estimators
from mlops_dagster.retraining.candidate import fit_candidate
from mlops_dagster.retraining.trainer import Trainer
from mlops_dagster.schema import Feature, ModelSchema
from mlops_dagster.serving.deployed.loaded_model import LoadedModel
from tests.support.two_versions import MARCH, SCHEMA

ROWS = pd.DataFrame(
    {
        "x": 0.0,
        "carrier": "AA",
        "label": ["ok", "late"] * 100,
        "event_time": [MARCH + timedelta(hours=n) for n in range(200)],
    }
)
NEVER_FITS = cast("Trainer", SimpleNamespace(SCHEMA=SCHEMA))


@pytest.mark.parametrize(
    ("attribute", "evaluate_from", "reason"),
    [
        ("airline", MARCH + timedelta(days=2), "names airline; the training set has x, carrier, label, event_time"),
        ("carrier", MARCH, "0 rows to fit on and 200 to evaluate on"),
        ("carrier", datetime(2014, 1, 1, tzinfo=UTC), "200 rows to fit on and 0 to evaluate on"),
    ],
)
def test_a_set_that_cannot_be_judged_is_not_fitted(attribute: str, evaluate_from: datetime, reason: str) -> None:
    with pytest.raises(TrainingDataError, match=reason):
        fit_candidate(NEVER_FITS, ROWS, dataset="", evaluate_from=evaluate_from, fairness_attributes=[attribute])


def missing_carriers(null: object) -> pd.DataFrame:
    """The label is late where the carrier is not known, and only there."""
    generator = np.random.default_rng(4)
    late = generator.random(400) < 0.3
    carriers = pd.Series(generator.choice(["AA", "UA"], 400), dtype=object).where(~late, null)
    return pd.DataFrame(
        {
            "x": generator.normal(0, 1, 400),
            "carrier": carriers,
            "label": np.where(late, "late", "ok"),
            "event_time": pd.date_range(MARCH, periods=400, freq="h"),
        }
    )


@pytest.mark.parametrize("null", [np.nan, None, pd.NA, "category"])
def test_the_card_says_of_nulls_what_the_data_plane_answers(tmp_path: Path, null: object) -> None:
    """Golden: all right on the card and when served; fitted on NaN and served None, a third was wrong."""
    frame = missing_carriers(None if isinstance(null, str) else null)
    if isinstance(null, str):
        frame["carrier"] = frame["carrier"].astype("category")
    features = tuple(Feature(name=each.name, kind=each.kind) for each in SCHEMA.features)
    schema = ModelSchema(features=features, task=SCHEMA.task)
    encode = make_column_transformer((OneHotEncoder(handle_unknown="ignore"), ["carrier"]), ("passthrough", ["x"]))
    trainer = SimpleNamespace(SCHEMA=schema, estimator=lambda: make_pipeline(encode, LogisticRegression()))
    found = fit_candidate(
        cast("Trainer", trainer), frame, dataset="", evaluate_from=MARCH + timedelta(hours=200), fairness_attributes=()
    )
    (tmp_path / "model.skops").write_bytes(found.artifact)
    served = LoadedModel("1.0.0", schema, estimators.load(tmp_path / "model.skops"))
    carriers = [each if isinstance(each, str) else None for each in frame["carrier"]]
    labels = served.predict({"x": frame["x"].tolist(), "carrier": carriers}).labels
    assert (found.metrics["accuracy"], np.mean(labels == frame["label"])) == (1.0, 1.0)
    assert found.baseline.calibration is not None
    brackets = [each for its in found.baseline.calibration.brackets.values() for each in its]
    assert sum(each.rows for each in brackets) == 200  # each row that it was judged on


def test_an_estimator_that_gives_margins_makes_no_candidate() -> None:
    class Margins(LogisticRegression):
        def predict_proba(self, X: pd.DataFrame) -> npt.NDArray[np.float64]:  # noqa: N803  # scikit-learn's name
            margin = self.decision_function(X)
            return np.column_stack([-margin, margin])

    schema = SCHEMA.model_copy(update={"features": SCHEMA.features[:1]})
    trainer = SimpleNamespace(SCHEMA=schema, fit=lambda rows, labels: Margins().fit(rows, labels))
    frame = missing_carriers(None)
    with pytest.raises(ModelFailedError, match="version in evaluation gave row 0 .* which are not probabilities"):
        fit_candidate(
            cast("Trainer", trainer),
            frame,
            dataset="",
            evaluate_from=MARCH + timedelta(hours=200),
            fairness_attributes=(),
        )
