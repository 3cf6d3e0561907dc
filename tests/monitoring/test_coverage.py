"""Hours in which nothing was served are no drift of the time of day."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mlops_dagster.clock import ReplayedClock
from mlops_dagster.monitoring import DriftPolicy, make_baseline
from mlops_dagster.monitoring.drift.coverage import Coverage
from mlops_dagster.monitoring.drift.trailing import trailing_drift
from mlops_dagster.predictions import PredictionRecord
from mlops_dagster.registry import Baseline, EvaluationSlice, FairnessAudit, ModelCard, Provenance, Validation
from mlops_dagster.schema import Feature, ModelSchema
from mlops_dagster.settings import Settings
from mlops_dagster.statistics import Bins, NumericBins
from mlops_dagster.stores import Stores
from mlops_dagster.tasks import Classification
from mlops_dagster.tasks.classification import SCORE_BINS
from tests.support.predictions.records import a_record
from tests.support.servable import constant

pytestmark = pytest.mark.slow

SCHEMA = ModelSchema(
    features=(Feature(name="hour", kind="numeric"), Feature(name="amount", kind="numeric")),
    task=Classification(classes=("a", "b")),
)
LIVE = datetime(2026, 3, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
HOURS = [LIVE + number * HOUR for number in range(200)]
SCORES = {"micro_f1": 0.95, "macro_f1": 0.95, "accuracy": 0.95}
CARD = ModelCard(
    provenance=Provenance(dataset="d", digest="ab12", start=LIVE - timedelta(days=30), end=LIVE, rows=7200),
    evaluation=(EvaluationSlice(name="overall", rows=500, metrics=SCORES),),
    intended_use="a test",
    failure_modes=("none",),
    fairness=FairnessAudit(attribute="country", groups={"FR": {"accuracy": 0.9}}, max_gap=0.02),
    validation=Validation(suite="schema", expectations=3, rows=10, passed=True),
)


def baseline() -> Baseline:
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({"hour": np.tile(np.arange(24.0), 300), "amount": rng.normal(size=7200)})
    return make_baseline(frame, SCHEMA, scores=np.full(500, 0.3), labels=["a"] * 7200)


def served(hours: list[datetime], amount: float = 0.0) -> list[PredictionRecord]:
    rng = np.random.default_rng(2)
    return [
        a_record(
            number,
            prediction_id=f"{at} {number}",
            model="churn",
            event_time=at + timedelta(seconds=number),
            features={"hour": float(at.hour), "amount": float(rng.normal(amount))},
            score=0.3,
        )
        for at in hours
        for number in range(60)
    ]


@pytest.fixture
def stores(tmp_path: Path) -> Stores:
    """`churn` has a champion whose baseline has whole days."""
    stores = Stores(Settings(home=tmp_path), ReplayedClock(LIVE - timedelta(days=1)))
    version = stores.registry.register(
        "churn", constant(SCHEMA), "1.0.0", card=CARD, schema=SCHEMA, baseline=baseline()
    )
    stores.registry.transition(version, "Production")
    return stores


def count(stores: Stores, rows: list[PredictionRecord], changed: dict[str, Bins] | None = None) -> None:
    champion = stores.registry.get("churn", "1.0.0")
    assert champion.baseline is not None
    bins = {name: its.bins for name, its in champion.baseline.features.items()} | {"score": SCORE_BINS}
    stores.spool.append(rows)
    stores.local_rollups.catch_up(stores.spool, lambda _model, _version: bins | (changed or {}))


def judged(stores: Stores, until: datetime) -> dict[str, tuple[str, str]]:
    found = trailing_drift(stores.registry, stores.rollups, "churn", until, DriftPolicy())
    assert found is not None
    return {each.name: (each.verdict.value, each.reason) for each in found.drift.features}


def test_the_first_hours_are_no_drift_of_the_time_of_day(stores: Stores) -> None:
    count(stores, served(HOURS[18:24]))
    assert judged(stores, HOURS[22])["hour"] == ("inconclusive", "over a limit, but the window covers 4 of 24 hours")
    count(stores, served(HOURS[24:50]))
    assert {verdict for verdict, _ in judged(stores, HOURS[48]).values()} == {"stable"}


def test_what_training_never_had_is_drift_from_the_first_hours(stores: Stores) -> None:
    count(stores, served(HOURS[18:24], amount=9.0))
    found = judged(stores, HOURS[24])
    assert (found["hour"][0], found["amount"][0]) == ("inconclusive", "inconclusive")  # the last cell has no end
    champion = stores.registry.get("churn", "1.0.0")
    assert champion.baseline is not None
    drawn = champion.baseline.features["amount"].counts
    whole = Coverage(6, 24, 0.25)
    assert not whole.explains(drawn, champion.baseline.features["amount"].bins.count(np.full(300, 9.0)))
    assert not Coverage(6, 24, 0.0).explains(np.array([0, 500, 0]), np.array([0, 0, 360]))


def test_an_outage_is_not_and_a_shift_beside_it_is(stores: Stores) -> None:
    count(stores, served(HOURS[:168]))
    count(stores, served(HOURS[168:180], amount=3.0))
    found = judged(stores, HOURS[186])  # there is nothing of the last six hours
    assert found["hour"] == ("inconclusive", "over a limit, but the window covers 18 of 24 hours")
    assert found["amount"] == ("retrain", "")


def test_office_hours_are_whole_days(stores: Stores) -> None:
    """They differ from the whole days of training, and that is said."""
    count(stores, served([at for at in HOURS if 9 <= at.hour < 17]))
    assert judged(stores, HOURS[192])["hour"] == ("retrain", "")


def test_of_a_feature_in_new_bins_only_what_is_counted_in_them(stores: Stores) -> None:
    count(stores, served(HOURS[:186]), changed={"hour": NumericBins((1.0, 2.0))})
    count(stores, served(HOURS[186:192]))
    found = judged(stores, HOURS[192])
    assert found["hour"] == ("inconclusive", "over a limit, but the window covers 6 of 24 hours")
    assert found["amount"][0] == "stable"
