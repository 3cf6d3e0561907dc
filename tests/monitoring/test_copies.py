"""Erasure reaches the rows that lie beside the log, wherever they lie: of a person, of ids, of old days."""

import io
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest
from click.testing import Result
from typer.testing import CliRunner

from mlops_dagster.cli import app
from mlops_dagster.monitoring import ValidationResult, quarantine
from mlops_dagster.monitoring.copies import Copies
from mlops_dagster.monitoring.validation.hourly import validate_hours
from mlops_dagster.predictions import Choice, Erased, Found, erase
from mlops_dagster.predictions.erasure.erasure_log import Erasures
from mlops_dagster.retraining.batch_scores import BatchFiles
from mlops_dagster.storage.files import Files
from mlops_dagster.stores import Stores
from tests.components.test_prediction_batch import with_champion
from tests.support.predictions.records import MARCH, a_record

FAILED = ValidationResult(4, ("temp: bad",), 1)


@pytest.fixture(params=["local", "s3"])
def stores(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stores:
    """Two people asked in each of two bad hours; their rows are in the log and in quarantine."""
    if request.param == "s3":
        monkeypatch.setenv("MLOPS_STORAGE_URL", f"s3://{request.getfixturevalue('s3')}/models")
    stores = with_champion(tmp_path)
    features = {"delay": 1.0, "temp": None, "origin": "EWR"}
    stores.spool.append(
        [
            a_record(minute, prediction_id=f"p{minute}", key=("ada", "bob")[minute % 2], features=features)
            for minute in (*range(40), *range(1440, 1480))
        ]
    )
    stores.rollups.catch_up(stores.spool, lambda _model, _version: None)
    stores.log.ship(stores.spool)
    champion = stores.champion("flights")
    assert champion is not None
    found = validate_hours(stores.log, champion, stores.quarantine, MARCH, MARCH + timedelta(days=2))
    assert [result.rows for result in found.values()] == [40, 40]
    return stores


def run(stores: Stores, **choice: object) -> tuple[Erased, list[str]]:
    copies = Copies([stores.quarantine, stores.batch_scores])
    erased = erase(
        stores.log,
        stores.spool,
        stores.all_rollups,
        Choice("flights", **choice),  # type: ignore[arg-type]  # as the tests name them
        actor="eve",
        reason="asked for",
        at=MARCH + timedelta(days=3),
        copies=copies.erase,
    )
    return erased, copies.unsearched


def rows(files: Files, name: str) -> pd.DataFrame:
    return pd.read_parquet(io.BytesIO(files.read(name)))


def test_a_person_is_gone_from_quarantine_and_scored_days_and_others_stay(stores: Stores) -> None:
    day = pd.DataFrame({"key": ["ada", "bob", "ada"], "delay": [1.0, 2.0, 3.0]})
    BatchFiles(stores.batch_scores, "flights", MARCH).keep(day)
    BatchFiles(stores.batch_scores, "flights", MARCH + timedelta(days=1)).keep(day.assign(key="ada"))
    BatchFiles(stores.batch_scores, "another", MARCH).keep(day)
    mixed = pd.DataFrame({"prediction_id": ["p2", "p3"], "temp": [1.0, "n/a"]})  # p2 is ada's
    quarantine(stores.quarantine, "flights", MARCH, mixed, FAILED, what="batch_input")
    of_nobody = quarantine(stores.quarantine, "flights", MARCH, day[["delay"]], FAILED, what="elsewhere")

    assert run(stores, keys=("ada",)) == (Erased(predictions=40, labels=0, copies=40 + 2 + 3 + 1), [of_nobody])
    for hour in ("2013-03-01T00", "2013-03-02T00"):
        left = rows(stores.quarantine, f"flights/{hour}.parquet")
        assert sorted({int(name[1:]) % 2 for name in left["prediction_id"]}) == [1]
        assert len(left) == 20
    assert stores.batch_scores.names("flights") == ["flights/2013-03-01.input.parquet"]
    assert list(rows(stores.batch_scores, "flights/2013-03-01.input.parquet")["key"]) == ["bob"]
    assert list(rows(stores.quarantine, "flights/batch_input/2013-03-01T00.parquet")["prediction_id"]) == ["'p3'"]
    assert len(rows(stores.batch_scores, "another/2013-03-01.input.parquet")) == 3
    assert run(stores, keys=("ada",))[0] == Erased(predictions=0, labels=0, copies=0)


@pytest.mark.parametrize("stores", ["local"], indirect=True)
def test_the_command_reaches_them_and_names_what_it_cannot_search(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    BatchFiles(stores.batch_scores, "flights", MARCH).keep(pd.DataFrame({"delay": [1.0]}))
    monkeypatch.setenv("MLOPS_HOME", str(stores.settings.home))
    command = ["predictions", "erase", "--model", "flights", "--key", "ada", "--reason", "asked for"]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0
    assert "erased 40 predictions, 0 labels and 40 copies of rows" in result.stdout
    assert "it is unknown whose rows are in 1 file without" in result.stderr
    assert "2013-03-01.input.parquet" in result.stderr
    assert len(rows(stores.quarantine, "flights/2013-03-01T00.parquet")) == 20


def test_ids_take_their_rows(stores: Stores) -> None:
    assert run(stores, ids=("p0", "p1", "p1440"))[0] == Erased(predictions=3, labels=0, copies=3)
    assert len(rows(stores.quarantine, "flights/2013-03-02T00.parquet")) == 39


@pytest.mark.parametrize("stores", ["local"], indirect=True)
def test_those_that_wait_are_erased_in_one_pass_and_forgotten(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    home = stores.settings.home
    monkeypatch.setenv("MLOPS_HOME", str(home))

    def mlops(*arguments: str) -> Result:
        return CliRunner().invoke(app, ["predictions", *arguments])

    erase_later = ("erase", "--model", "flights", "--reason", "ticket 12", "--later")
    assert mlops(*erase_later, "--key", "ada").exit_code == 0
    assert mlops(*erase_later, "--id", "p1", "--id", "p1441").exit_code == 0
    assert mlops(*erase_later, "--model", "another", "--key", "ada").exit_code == 1
    (waiting,) = json.loads(mlops("erasures", "--json").stdout)
    assert (waiting["model"], waiting["waiting"]) == ("flights", 3)
    assert timedelta(days=29) < datetime.fromisoformat(waiting["due"]) - datetime.now(UTC) <= timedelta(days=30)
    assert stores.log.count("flights") == 80

    erased = mlops("erase", "--model", "flights", "--json")
    assert json.loads(erased.stdout)["predictions"] == 40 + 2
    assert mlops("erasures").stdout == "no erasure waits\n"
    assert [step.what for step in Erasures.read(stores.log).steps] == ["keys", "keys"], "one pass"
    files = [file for file in home.rglob("asked_erasures.sqlite*") if b"p1441" in file.read_bytes()]
    assert files == []
    assert mlops("erase", "--model", "flights").stdout == "no erasure waits\n"


@pytest.mark.parametrize("stores", ["local"], indirect=True)
def test_what_was_drawn_from_a_row_goes_with_it_and_other_hours_stay(stores: Stores) -> None:
    names = {
        "profiles": [
            "flights/1.0.0/2013-03-01T00.bin",
            "flights/1.0.0/2013-03-01T01.bin",
            "another/1.0.0/2013-03-01T00.bin",
        ],
        "report_pages": ["flights/2013-02-28T02_2013-03-01T02-a.html", "flights/2013-03-01T01_2013-03-02T00-b.html"],
    }
    for folder, its in names.items():
        for name in its:
            getattr(stores, folder).add(name, b"drawn")
    copies = Copies([stores.quarantine], drawn=[stores.profiles, stores.report_pages])
    hour = Found(frozenset(), frozenset({MARCH}))
    copies.erase(Choice("flights", keys=("ada",)), hour)
    assert [name.rpartition("/")[2] for name in copies.removed] == [
        "2013-03-01T00.bin",
        "2013-02-28T02_2013-03-01T02-a.html",
    ]
    assert len(stores.profiles.names("flights")) == len(stores.report_pages.names("flights")) == 1
    assert stores.profiles.names("another") == ["another/1.0.0/2013-03-01T00.bin"]
