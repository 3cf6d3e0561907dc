"""Erasure reaches the rows that lie beside the log, wherever they lie: of a person, of ids, of old days."""

import io
from datetime import date, timedelta
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from mlops_dagster.cli import app
from mlops_dagster.monitoring import ValidationResult, quarantine
from mlops_dagster.monitoring.batches import validate_hours
from mlops_dagster.monitoring.copies import Copies
from mlops_dagster.monitoring.files import Files
from mlops_dagster.predictions import Choice, Erased, erase
from mlops_dagster.retraining.batch_scores import BatchFiles
from mlops_dagster.wiring import House
from tests.components.test_prediction_batch import with_champion
from tests.predictions.conftest import MARCH, a_record

FAILED = ValidationResult(4, ("temp: bad",), 1)


@pytest.fixture(params=["local", "s3"])
def house(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> House:
    """Two people asked in each of two bad hours; their rows are in the log and in quarantine."""
    if request.param == "s3":
        monkeypatch.setenv("MLOPS_STORAGE_URL", f"s3://{request.getfixturevalue('s3')}/models")
    house = with_champion(tmp_path)
    features = {"delay": 1.0, "temp": None, "origin": "EWR"}
    house.spool.append(
        [
            a_record(minute, prediction_id=f"p{minute}", key=("ada", "bob")[minute % 2], features=features)
            for minute in (*range(40), *range(1440, 1480))
        ]
    )
    house.rollups.catch_up(house.spool, lambda _model, _version: None)
    house.log.ship(house.spool)
    champion = house.champion("flights")
    assert champion is not None
    found = validate_hours(house.log, champion, house.quarantine, MARCH, MARCH + timedelta(days=2))
    assert [result.rows for result in found.values()] == [40, 40]
    return house


def run(house: House, **choice: object) -> tuple[Erased, list[str]]:
    copies = Copies([house.quarantine, house.batch_scores])
    erased = erase(
        house.log,
        house.spool,
        house.all_rollups,
        Choice("flights", **choice),  # type: ignore[arg-type]  # as the tests name them
        actor="eve",
        reason="asked for",
        at=MARCH + timedelta(days=3),
        copies=copies.erase,
    )
    return erased, copies.unsearched


def rows(files: Files, name: str) -> pd.DataFrame:
    return pd.read_parquet(io.BytesIO(files.read(name)))


def test_a_person_is_gone_from_quarantine_and_scored_days_and_others_stay(house: House) -> None:
    day = pd.DataFrame({"key": ["ada", "bob", "ada"], "delay": [1.0, 2.0, 3.0]})
    BatchFiles(house.batch_scores, "flights", MARCH).keep(day)
    BatchFiles(house.batch_scores, "flights", MARCH + timedelta(days=1)).keep(day.assign(key="ada"))
    BatchFiles(house.batch_scores, "another", MARCH).keep(day)
    mixed = pd.DataFrame({"prediction_id": ["p2", "p3"], "temp": [1.0, "n/a"]})  # p2 is ada's
    quarantine(house.quarantine, "flights", MARCH, mixed, FAILED, what="batch_input")
    of_nobody = quarantine(house.quarantine, "flights", MARCH, day[["delay"]], FAILED, what="elsewhere")

    assert run(house, keys=("ada",)) == (Erased(predictions=40, labels=0, copies=40 + 2 + 3 + 1), [of_nobody])
    for hour in ("2013-03-01T00", "2013-03-02T00"):
        left = rows(house.quarantine, f"flights/{hour}.parquet")
        assert sorted({int(name[1:]) % 2 for name in left["prediction_id"]}) == [1]
        assert len(left) == 20
    assert house.batch_scores.names("flights") == ["flights/2013-03-01.input.parquet"]
    assert list(rows(house.batch_scores, "flights/2013-03-01.input.parquet")["key"]) == ["bob"]
    assert list(rows(house.quarantine, "flights/batch_input/2013-03-01T00.parquet")["prediction_id"]) == ["'p3'"]
    assert len(rows(house.batch_scores, "another/2013-03-01.input.parquet")) == 3
    assert run(house, keys=("ada",))[0] == Erased(predictions=0, labels=0, copies=0)


@pytest.mark.parametrize("house", ["local"], indirect=True)
def test_the_command_reaches_them_and_names_what_it_cannot_search(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    BatchFiles(house.batch_scores, "flights", MARCH).keep(pd.DataFrame({"delay": [1.0]}))
    monkeypatch.setenv("MLOPS_HOME", str(house.settings.home))
    command = ["predictions", "erase", "--model", "flights", "--key", "ada", "--reason", "asked for"]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0
    assert "erased 40 predictions, 0 labels and 40 copies of rows" in result.stdout
    assert "of 1 files nobody knows whose rows they hold" in result.stderr
    assert "2013-03-01.input.parquet" in result.stderr
    assert len(rows(house.quarantine, "flights/2013-03-01T00.parquet")) == 20


def test_ids_and_days_take_their_rows_and_files(house: House) -> None:
    assert run(house, ids=("p0", "p1", "p1440"))[0] == Erased(predictions=3, labels=0, copies=3)
    BatchFiles(house.batch_scores, "flights", MARCH).keep(pd.DataFrame({"delay": [1.0]}))
    erased, unsearched = run(house, before=date(2013, 3, 2))
    assert (erased, unsearched) == (Erased(predictions=38, labels=0, copies=38 + 1), [])
    assert house.batch_scores.names("flights") == []
    assert house.quarantine.names("flights") == ["flights/2013-03-02T00.json", "flights/2013-03-02T00.parquet"]
    assert len(rows(house.quarantine, "flights/2013-03-02T00.parquet")) == 39
