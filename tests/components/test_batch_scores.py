"""Days of rows that are scored in one go, in real runs of Dagster: a bad day is blocked, and only that day."""

import sys
from datetime import datetime
from pathlib import Path
from types import ModuleType

import dagster as dg
import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from mlops_dagster.clock import ReplayedClock
from mlops_dagster.components.batch_scores import batch_scores_defs
from mlops_dagster.components.platform import Platform
from mlops_dagster.defs.flights_delay import flights as flights_example
from mlops_dagster.errors import InvalidInputError
from mlops_dagster.monitoring import make_baseline
from mlops_dagster.registry import Stage
from mlops_dagster.retraining.trainer import load_batch_source
from mlops_dagster.settings import Settings
from mlops_dagster.wiring import House
from tests.components.test_prediction_batch import EARLIER, SPEC
from tests.monitoring.test_validation import BAD, SCHEMA, flights
from tests.predictions.conftest import MARCH
from tests.serving.conftest import CARD

HERE = SPEC.model_copy(update={"trainer": "made_up_batches", "batch_scores": True})


@pytest.fixture
def house(tmp_path: Path) -> House:
    """A champion since the day before."""
    house = House(Settings(home=tmp_path), ReplayedClock(EARLIER), actor="test")
    rows = flights(5000, seed=0).fillna(0.0)
    labels = np.where(rows["delay"] > 15, "late", "on_time")
    encode = make_column_transformer((OneHotEncoder(), ["origin"]), remainder="passthrough")
    estimator = make_pipeline(encode, LogisticRegression(max_iter=1000)).fit(rows, labels)
    baseline = make_baseline(rows, SCHEMA, scores=np.full(5000, 0.5), labels=list(labels))
    version = house.registry.register("flights", estimator, "1.0.0", card=CARD, baseline=baseline, schema=SCHEMA)
    house.registry.transition(version, Stage.PRODUCTION)
    return house


@pytest.fixture
def days(monkeypatch: pytest.MonkeyPatch) -> dict[int, pd.DataFrame]:
    """What `batch` of the trainer gives, by the day of March; no rows of any other."""
    days: dict[int, pd.DataFrame] = {}
    module = ModuleType("made_up_batches")

    def batch(start: datetime, end: datetime) -> pd.DataFrame:
        return days.get(start.day, flights(0, seed=0))

    module.batch, module.SCHEMA, module.training_set, module.estimator = batch, SCHEMA, None, None
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return days


def score(house: House, day: int, *assets: str) -> dg.ExecuteInProcessResult:
    definitions = batch_scores_defs(HERE)
    chosen = [
        its for its in definitions.assets or () if isinstance(its, dg.AssetsDefinition) and its.key.path[-1] in assets
    ]
    with dg.DagsterInstance.ephemeral() as instance:
        return dg.materialize(
            chosen,
            partition_key=f"2013-03-{day:02}",
            instance=instance,
            resources={"platform": Platform(home=str(house.settings.home))},
            raise_on_error=False,
        )


BOTH = ("batch_input", "batch_scores")


def test_a_good_day_is_scored(house: House, days: dict[int, pd.DataFrame]) -> None:
    days[2] = flights(937, seed=2).assign(flight=np.arange(937))
    result = score(house, 2, *BOTH)
    assert result.success
    (told,) = result.asset_materializations_for_node("flights__batch_scores")
    assert told.metadata["rows"].value == 937
    assert told.metadata["version"].value == "1.0.0"
    scored = pd.read_parquet(str(told.metadata["scores"].value))
    pd.testing.assert_frame_equal(scored[list(days[2].columns)], days[2])
    assert ((scored["score"] > 0.5) == (scored["prediction"] == "late")).all()
    assert house.alerts.list("flights") == []
    (source,) = result.asset_materializations_for_node("flights__batch_input")
    assert "flights/batch_input/2013-03-02" in Path(str(source.metadata["data_docs"].value)).read_text()


WRONG = {
    "a column is missing": (BAD["column gone"][0], "temp: there is no such column"),
    "all are missing": (BAD["feed down"][0], "temp: 937 of 937 values are missing"),
    "the wrong type": (BAD["numbers as text"][0], "not of type float64"),
    "a stuck sensor": (lambda batch: batch.assign(delay=9.0), "delay: is distributed otherwise"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_a_bad_day_is_blocked_and_the_next_good_one_resolves_it(
    kind: str, house: House, days: dict[int, pd.DataFrame]
) -> None:
    spoil, reason = WRONG[kind]
    days[2] = flights(937, seed=2)
    assert score(house, 2, *BOTH).success
    days[2] = spoil(flights(937, seed=2))
    result = score(house, 2, *BOTH)
    assert not result.success
    assert result.asset_materializations_for_node("flights__batch_scores") == []
    (check,) = result.get_asset_check_evaluations()
    assert (check.passed, check.blocking, check.severity) == (False, True, dg.AssetCheckSeverity.ERROR)
    assert [file.name for file in (house.settings.home / "batch_scores" / "flights").iterdir()] == []  # of the good run
    place = house.settings.home / "quarantine" / "flights" / "batch_input"
    pd.testing.assert_frame_equal(pd.read_parquet(place / "2013-03-02T00.parquet"), days[2])
    (alert,) = house.alerts.list("flights")
    assert reason in alert.summary
    assert alert.done == f"937 rows quarantined at {place}; nothing is scored"

    assert not score(house, 2, "batch_scores").success  # nor by itself
    days[3] = flights(937, seed=3)
    assert score(house, 3, *BOTH).success
    (alert,) = house.alerts.list("flights", resolved=True)
    assert alert.resolution == "2013-03-03 00:00 UTC passed, with 937 rows"


def test_a_day_without_rows_or_champion_scores_nothing_and_alarms_nobody(
    house: House, days: dict[int, pd.DataFrame]
) -> None:
    assert not score(house, 2, *BOTH).success
    assert house.alerts.list("flights") == []
    days[1] = flights(937, seed=2)
    assert MARCH.day == 1
    other = House(Settings(home=house.settings.home / "other"), ReplayedClock(EARLIER), actor="test")
    result = score(other, 1, *BOTH)
    assert not result.success
    assert result.asset_materializations_for_node("flights__batch_scores") == []


def test_a_trainer_without_batches_is_told_what_it_lacks() -> None:
    assert load_batch_source(flights_example.__name__) is flights_example
    with pytest.raises(InvalidInputError, match="'json' lacks batch"):
        load_batch_source("json")
