"""A home or a prefix of any spelling has all that is written, exactly there, or is refused at once by name."""

from datetime import timedelta
from pathlib import Path

import pytest

from mlops_dagster.errors import HomeNotWritableError, InvalidInputError
from mlops_dagster.predictions import PredictionLog, Spool, audit
from mlops_dagster.settings import Settings
from mlops_dagster.stores import Stores
from tests.support.predictions.records import MARCH, a_record

DAY = timedelta(days=1)
WORKS = ["größe #1?", "100% ~$HOME '\"`", "日本 \U0001f680", "e\u0301", "-x", "{a}*;&=:", "?a=b"]


@pytest.mark.parametrize("name", WORKS)
def test_all_of_a_home_is_exactly_there(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    stores = Stores(Settings(home=Path(name)), actor="test")  # relative, as the default is
    (tmp_path / "model.onnx").write_text("weights")
    registered = stores.registry.register("flights", tmp_path / "model.onnx")
    stores.spool.append([a_record(0), a_record(1)])
    stores.rollups.catch_up(stores.spool, lambda _model, _version: None)
    assert stores.log.ship(stores.spool) == 2
    stores.log.tidy()
    address = stores.data_docs.add("flights/page.html", b"page")
    again = Stores(Settings(home=tmp_path / name), actor="test")
    assert again.registry.fetch(registered, tmp_path / "copy").read_text() == "weights"
    assert again.log.models() == ["flights"]
    assert again.log.labelled("flights", MARCH, MARCH + DAY)["prediction_id"].to_pylist() == ["p0", "p1"]
    assert again.rollups.first_at("flights") == MARCH
    assert again.data_docs.read("flights/page.html") == b"page"
    assert (tmp_path / address).exists()
    assert audit(again.spool, again.log).complete
    assert {each.name for each in tmp_path.iterdir()} == {name, "model.onnx", "copy"}
    assert (tmp_path / name / "log" / "predictions" / "flights" / "_delta_log").is_dir()


@pytest.mark.parametrize("name", ["a%20b", "a%2Fb", "a%25b", "a\\b", "[a]", "a|b", "a^b", "a\nb", "a\x7fb"])
def test_a_home_that_delta_reads_otherwise_is_refused_at_once(name: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="set MLOPS_LOG_URL to another"):
        Stores(Settings(home=tmp_path / name), actor="test")
    assert list(tmp_path.iterdir()) == []
    elsewhere = Settings(home=tmp_path / name, log_url=str(tmp_path / "log"))
    spool = Stores(elsewhere, actor="test").spool
    spool.append([a_record(0)])
    assert PredictionLog(elsewhere.log).ship(spool) == 1


@pytest.mark.parametrize("home", ["s3://bucket/home", "file:///tmp/x", "a\0b"])
def test_what_is_no_folder_is_no_home(home: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises((HomeNotWritableError, InvalidInputError)):
        Stores(Settings(home=Path(home)), actor="test")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("prefix", ["größe #1?/a b", "100% [a]|^{b}*"])
def test_a_log_is_exactly_at_its_prefix(prefix: str, s3: str, tmp_path: Path) -> None:
    spool, log = Spool(tmp_path / "spool.sqlite"), PredictionLog(f"S3://{s3}/{prefix}/")
    spool.append([a_record(0)])
    assert log.ship(spool) == 1
    log.tidy()
    assert log.read("flights", MARCH, MARCH + DAY)["prediction_id"].to_pylist() == ["p0"]
    assert audit(spool, PredictionLog(f"s3://{s3}/{prefix}")).complete
    found = log.place._client.list_objects_v2(Bucket=s3)["Contents"]
    assert {each["Key"].startswith(f"{prefix}/") for each in found} == {True}
