"""Days of rows that are scored in one go, in real runs of Dagster: a bad day is blocked, and only that day."""

import io
import json
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

from flights import trainer as flights_example
from mlops_dagster.clock import ReplayedClock
from mlops_dagster.components.assets.batch_scores import batch_scores_defs
from mlops_dagster.components.platform import Platform
from mlops_dagster.errors import InvalidInputError
from mlops_dagster.loop.spec import ModelSpec
from mlops_dagster.monitoring import ValidationPolicy, make_baseline
from mlops_dagster.registry import Stage
from mlops_dagster.retraining.trainer import load_batch_source
from mlops_dagster.settings import Settings
from mlops_dagster.stores import Stores
from tests.components.test_prediction_batch import EARLIER, SPEC
from tests.monitoring.test_validation import BAD, SCHEMA, flights
from tests.support.components.at_a_time import cells
from tests.support.predictions.records import MARCH
from tests.support.serving.data_plane import CARD

HERE = SPEC.model_copy(update={"trainer": "made_up_batches", "batch_scores": True})


@pytest.fixture
def stores(tmp_path: Path) -> Stores:
    return with_champion(tmp_path)


def with_champion(tmp_path: Path) -> Stores:
    """A champion since the day before."""
    stores = Stores(Settings(home=tmp_path), ReplayedClock(EARLIER), actor="test")
    rows = flights(5000, seed=0).fillna(0.0)
    labels = np.where(rows["delay"] > 15, "late", "on_time")
    encode = make_column_transformer((OneHotEncoder(), ["origin"]), remainder="passthrough")
    estimator = make_pipeline(encode, LogisticRegression(max_iter=1000)).fit(rows, labels)
    baseline = make_baseline(rows, SCHEMA, scores=np.full(5000, 0.5), labels=list(labels))
    version = stores.registry.register("flights", estimator, "1.0.0", card=CARD, baseline=baseline, schema=SCHEMA)
    stores.registry.transition(version, Stage.PRODUCTION)
    return stores


@pytest.fixture
def days(monkeypatch: pytest.MonkeyPatch) -> dict[int, pd.DataFrame]:
    """What `batch` of the trainer gives, by the day of March; no rows of any other."""
    days: dict[int, pd.DataFrame] = {}
    module = ModuleType("made_up_batches")

    def batch(start: datetime, end: datetime) -> pd.DataFrame:
        if isinstance(given := days.get(start.day, flights(0, seed=0)), Exception):
            raise given
        return given

    module.batch, module.SCHEMA, module.estimator = batch, SCHEMA, object
    module.training_set = lambda start, end: None
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return days


def score(stores: Stores, day: int, *assets: str, spec: ModelSpec = HERE) -> dg.ExecuteInProcessResult:
    definitions = batch_scores_defs(spec)
    chosen = [
        its for its in definitions.assets or () if isinstance(its, dg.AssetsDefinition) and its.key.path[-1] in assets
    ]
    with dg.DagsterInstance.ephemeral() as instance:
        return dg.materialize(
            chosen,
            partition_key=f"2013-03-{day:02}",
            instance=instance,
            resources={"platform": Platform(home=str(stores.settings.home))},
            raise_on_error=False,
        )


BOTH = ("batch_input", "batch_scores")


def test_a_good_day_is_scored(stores: Stores, days: dict[int, pd.DataFrame]) -> None:
    days[2] = flights(937, seed=2).assign(flight=np.arange(937))
    result = score(stores, 2, *BOTH)
    assert result.success
    (told,) = result.asset_materializations_for_node("flights__batch_scores")
    assert told.metadata["rows"].value == 937
    assert told.metadata["version"].value == "1.0.0"
    scored = pd.read_parquet(str(told.metadata["scores"].value))
    pd.testing.assert_frame_equal(scored[list(days[2].columns)], days[2])
    assert ((scored["score"] > 0.5) == (scored["prediction"] == "late")).all()
    assert stores.alerts.list("flights") == []
    (source,) = result.asset_materializations_for_node("flights__batch_input")
    assert "flights/batch_input/2013-03-02" in Path(str(source.metadata["data_docs"].value)).read_text()


WRONG = {
    "a column is missing": (BAD["column gone"][0], "temp: there is no such column"),
    "all are missing": (BAD["feed down"][0], "temp: 937 of 937 values are missing"),
    "the wrong type": (BAD["numbers as text"][0], "not of type float64"),
    "a stuck sensor": (lambda batch: batch.assign(delay=9.0), "delay: is distributed otherwise"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_a_bad_day_is_blocked_until_it_is_mended(kind: str, stores: Stores, days: dict[int, pd.DataFrame]) -> None:
    spoil, reason = WRONG[kind]
    days[2] = flights(937, seed=2)
    assert score(stores, 2, *BOTH).success
    days[2] = spoil(flights(937, seed=2))
    result = score(stores, 2, *BOTH)
    assert not result.success
    assert result.asset_materializations_for_node("flights__batch_scores") == []
    (check,) = result.get_asset_check_evaluations()
    assert (check.passed, check.blocking, check.severity) == (False, True, dg.AssetCheckSeverity.ERROR)
    assert [
        file.name for file in (stores.settings.home / "batch_scores" / "flights").iterdir()
    ] == []  # of the good run
    place = stores.settings.home / "quarantine" / "flights" / "batch_input"
    pd.testing.assert_frame_equal(pd.read_parquet(place / "2013-03-02T00.parquet"), days[2])
    (alert,) = stores.alerts.list("flights")
    assert reason in alert.summary
    assert alert.done == f"937 rows quarantined at {place}; nothing is scored"

    assert not score(stores, 2, "batch_scores").success  # nor by itself
    days[3] = flights(937, seed=3)
    assert score(stores, 3, *BOTH).success
    assert len(stores.alerts.list("flights")) == 1  # a good day says nothing of another one
    days[2] = flights(937, seed=2)
    assert score(stores, 2, *BOTH).success
    (alert,) = stores.alerts.list("flights", resolved=True)
    assert alert.resolution == "2013-03-02 00:00 UTC passed, with 937 rows"


def test_the_alert_knows_every_bad_day_until_all_are_mended(stores: Stores, days: dict[int, pd.DataFrame]) -> None:
    good, bad = flights(300, seed=2), flights(300, seed=2).drop(columns="temp")
    for day in (5, 2, 3):
        days[day] = bad
        score(stores, day, "batch_input")
    (alert,) = stores.alerts.list("flights")
    assert [time[8:10] for time in alert.evidence["batches"]] == ["02", "03", "05"]  # type: ignore[attr-defined]
    assert alert.summary.endswith("(temp: there is no such column); so did 2 before")
    assert alert.done.startswith("900 rows quarantined")
    for day in (5, 3):
        days[day] = good
        score(stores, day, "batch_input")
    (alert,) = stores.alerts.list("flights")
    assert alert.summary == (
        "1 batch failed validation, not mended: 2013-03-02 00:00 UTC (temp: there is no such column)"
    )
    days[2] = good
    score(stores, 2, "batch_input")
    assert stores.alerts.list("flights") == []


def mixed(column: str, value: object) -> pd.DataFrame:
    batch = flights(300, seed=2)
    batch[column] = batch[column].astype(object) if column in batch else "7"
    batch.loc[5, column] = value
    return batch


ODD: dict[str, tuple[object, str, int]] = {
    "a word among numbers": (mixed("delay", "n/a"), "delay: 1 of 300 values are not numbers but str", 300),
    "a fraction among words": (mixed("origin", 7.5), "origin: 1 of 300 values are not of type str but float", 300),
    "a further column of two types": (mixed("id", 7), "Arrow cannot store the rows: Conversion failed for", 300),
    "two columns of one name": (
        pd.concat([flights(300, seed=2), flights(300, seed=2)[["delay"]]], axis=1),
        "delay: there are several columns of this name",
        300,
    ),
    "a column of ours": (flights(300, seed=2).assign(score=0.5), "the batch has columns called score", 300),
    "no rows": (flights(0, seed=2), "there are no rows", 0),
    "no frame": ([1, 2], "`batch` of made_up_batches: it gave a list, not a DataFrame", 0),
    "a source that is down": (ConnectionError("away"), "`batch` of made_up_batches raised ConnectionError", 0),
}


@pytest.mark.parametrize("kind", ODD)
def test_an_odd_day_fails_its_validation_with_a_reason_an_alert_and_its_rows(
    kind: str, stores: Stores, days: dict[int, object]
) -> None:
    batch, reason, rows = ODD[kind]
    days[2] = batch
    result = score(stores, 2, *BOTH)
    assert not result.success
    assert result.asset_materializations_for_node("flights__batch_scores") == []
    (check,) = result.get_asset_check_evaluations()
    assert (check.passed, check.blocking) == (False, True)
    assert str(check.description).startswith("2013-03-02: ")
    assert "; nothing is scored" in str(check.description)
    (alert,) = stores.alerts.list("flights")
    (told,) = alert.evidence["batches"].values()  # type: ignore[attr-defined]
    assert told["rows"] == rows
    assert told["failures"][0].startswith(reason)
    assert alert.done.endswith("nothing is scored")
    assert ("quarantined" in alert.done) == bool(rows)
    kept = sorted((stores.settings.home / "quarantine").rglob("*.parquet"))
    assert [len(pd.read_parquet(file)) for file in kept] == ([rows] if rows else [])
    days[2] = flights(300, seed=2)
    assert score(stores, 2, *BOTH).success
    assert stores.alerts.list("flights") == []


def test_with_a_bucket_in_the_settings_rows_and_scores_are_there(
    tmp_path: Path, days: dict[int, pd.DataFrame], s3: str, s3_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLOPS_STORAGE_URL", f"s3://{s3}/models")
    stores = with_champion(tmp_path)
    days[2] = flights(300, seed=2)
    result = score(stores, 2, *BOTH)
    assert result.success
    (told,) = result.asset_materializations_for_node("flights__batch_scores")
    assert told.metadata["scores"].value == f"{s3_server}/{s3}/models/batch_scores/flights/2013-03-02.parquet"
    names = ["flights/2013-03-02.input.parquet", "flights/2013-03-02.parquet"]
    assert stores.batch_scores.names("flights") == names
    scored = pd.read_parquet(io.BytesIO(stores.batch_scores.read(names[1])))
    pd.testing.assert_frame_equal(scored[list(days[2].columns)], days[2])
    days[2] = days[2].drop(columns="temp")
    assert not score(stores, 2, *BOTH).success
    assert stores.batch_scores.names("flights") == []
    place = f"s3://{s3}/models/quarantine/flights/batch_input"
    assert stores.alerts.list("flights")[0].done == f"300 rows quarantined at {place}; nothing is scored"
    assert not score(stores, 2, "batch_scores").success
    assert not (tmp_path / "batch_scores").exists()


def test_a_suite_that_cannot_be_used_blocks_the_day_and_says_why(
    stores: Stores, days: dict[int, pd.DataFrame], tmp_path: Path
) -> None:
    file = tmp_path / "suite.json"
    file.write_text('{"name": "x", "expectations": [{"type": "expect_column_to_exist", "kwargs": {"column": "tmep"}}]}')
    days[2] = flights(300, seed=2)
    spec = HERE.model_copy(update={"validation": ValidationPolicy(suite=file)})
    assert not score(stores, 2, *BOTH, spec=spec).success
    (alert,) = stores.alerts.list("flights")
    assert "asks for the column 'tmep'" in alert.summary
    assert alert.done.startswith("nothing: no rows are set aside")
    file.write_text('{"name": "x", "expectations": [{"type": "expect_column_to_exist", "kwargs": {"column": "temp"}}]}')
    assert score(stores, 2, *BOTH, spec=spec).success
    of_hours = {"type": "expect_column_to_exist", "kwargs": {"column": "temp"}, "meta": {"batches": ["hour"]}}
    file.write_text(json.dumps({"name": "x", "expectations": [of_hours]}))
    result = score(stores, 2, *BOTH, spec=spec)
    assert not result.success
    (told,) = result.asset_materializations_for_node("flights__batch_input")
    assert told.metadata["validation"].value == "inconclusive"
    assert "the suite x asks nothing of a day of 300 rows" in stores.alerts.list("flights")[0].summary


def test_rows_that_arrow_cannot_store_are_set_aside_as_text_and_it_is_said(
    stores: Stores, days: dict[int, pd.DataFrame]
) -> None:
    days[2] = mixed("delay", "n/a")
    score(stores, 2, "batch_input")
    place = stores.settings.home / "quarantine" / "flights" / "batch_input" / "2013-03-02T00"
    kept = pd.read_parquet(place.with_suffix(".parquet"))
    assert list(kept["delay"]) == [repr(value) for value in days[2]["delay"]]
    assert "column delay" in json.loads(place.with_suffix(".json").read_text())["as_text"]


def test_what_is_in_doubt_is_shown(stores: Stores, days: dict[int, pd.DataFrame]) -> None:
    days[2] = flights(20, seed=2)
    days[2].loc[:2, "temp"] = None
    result = score(stores, 2, "batch_input")
    assert result.success
    (told,) = result.asset_materializations_for_node("flights__batch_input")
    (check,) = result.get_asset_check_evaluations()
    doubts = [["temp: 3 of 20 values are missing; at most 5.0% may be, by chance 7"]]
    assert cells(told.metadata["doubts"]) == cells(check.metadata["doubts"]) == doubts


def test_a_day_without_a_champion_is_not_scored(stores: Stores, days: dict[int, pd.DataFrame]) -> None:
    days[1] = flights(937, seed=2)
    assert MARCH.day == 1
    other = Stores(Settings(home=stores.settings.home / "other"), ReplayedClock(EARLIER), actor="test")
    result = score(other, 1, *BOTH)
    assert not result.success
    assert result.asset_materializations_for_node("flights__batch_scores") == []


def test_a_trainer_without_batches_is_told_what_it_lacks() -> None:
    assert load_batch_source(flights_example.__name__) is flights_example
    with pytest.raises(InvalidInputError, match="'json' lacks batch"):
        load_batch_source("json")
