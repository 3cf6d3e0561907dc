"""A logged row, scored again from its artifact, gives the same answer."""

import math

import pytest
from typer.testing import CliRunner

from mlops_dagster.cli import app
from mlops_dagster.errors import InvalidInputError, PredictionNotFoundError
from mlops_dagster.predictions import PredictionRecord
from mlops_dagster.serving.deployed.loaded_model import LoadedModel
from mlops_dagster.serving.replay import replay
from tests.support.serving.data_plane import NOW, Models

MODEL = "replayed"
DELAYS = [5.0, 40.0, None, math.nan, math.inf, -math.inf]


def a_record(number: int, **changes: object) -> PredictionRecord:
    values: dict[str, object] = {
        "prediction_id": f"p{number}", "request": f"p{number}", "model": MODEL, "version": "1.0.0",
        "role": "champion", "weight": 1.0,
        "epoch": 1, "salt": "", "key": None, "event_time": NOW, "received_at": NOW, "status": "ok", "error": None,
        "features": {}, "prediction": None, "score": None, "latency_ms": 1.0, "process": "p", "row": 0,
    }  # fmt: skip
    return PredictionRecord(**{**values, **changes})


@pytest.fixture(scope="module")
def models(sklearn_models: Models) -> Models:
    return sklearn_models


@pytest.fixture(scope="module")
def logged(models: Models) -> list[float]:
    """Rows scored in one batch; returns their scores. Two more say what the model does not, or were not scored."""
    version, stores = models.champion(MODEL), models.stores
    loaded = LoadedModel("1.0.0", version.schema, stores.registry.load(version))
    rows = [{"delay": delay, "distance": 700.0, "carrier": "UA"} for delay in DELAYS]
    scores = loaded.predict({name: [row[name] for row in rows] for name in rows[0]})
    answers = [
        a_record(number, features=row, prediction=label, score=score, tensors={"probabilities": each})
        for number, (row, label, score, each) in enumerate(
            zip(rows, scores.labels, scores.scores, scores.tensors["probabilities"], strict=True)
        )
    ]
    other = a_record(90, features=rows[0], prediction=scores.labels[0], score=scores.scores[0] + 0.01)
    rejected = a_record(91, role="none", version="", status="rejected", error="no feature 'delay'")
    unknown = {**rows[0], "carrier": None}  # the encoder never saw it
    failed = a_record(92, features=unknown, status="failed", error="version 1.0.0 raised ValueError: in a batch")
    stores.spool.append([*answers, other, rejected, failed])
    stores.log.ship(stores.spool)
    return scores.scores


def test_every_value_is_scored_again_as_it_was(models: Models, logged: list[float]) -> None:
    for number, delay in enumerate(DELAYS):
        found = replay(models.stores, f"p{number}")
        assert found.same, found
        assert found.again.score == logged[number]
        expected = None if delay is None or math.isnan(delay) else delay
        assert found.features == {"delay": expected, "distance": 700.0, "carrier": "UA"}


def test_what_differs_and_what_cannot_be_scored_is_said(
    models: Models, logged: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not replay(models.stores, "p90").same
    failed = replay(models.stores, "p92")
    assert (failed.same, failed.again.label) == (True, None)
    assert "unknown categories" in (failed.again.error or "")
    with pytest.raises(InvalidInputError, match=r"p91 was rejected \(no feature 'delay'\): no version scored it"):
        replay(models.stores, "p91")
    with pytest.raises(PredictionNotFoundError):
        replay(models.stores, "p99")
    monkeypatch.setenv("MLOPS_HOME", str(models.stores.settings.home))
    run = CliRunner().invoke
    assert run(app, ["predictions", "replay", "p4", "--json"]).exit_code == 0
    differs = run(app, ["predictions", "replay", "p90", "--model", MODEL])
    assert (differs.exit_code, "DIFFERENT" in differs.output) == (1, True)


def test_the_commands_erase_and_audit(models: Models, logged: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLOPS_HOME", str(models.stores.settings.home))
    models.stores.local_rollups.catch_up(models.stores.spool, lambda *_: None)
    run = CliRunner().invoke
    erased = run(app, ["predictions", "erase", "--model", MODEL, "--id", "p0", "--reason", "asked for", "--json"])
    assert (erased.exit_code, '"predictions": 1' in erased.output) == (0, True), erased.output
    assert run(app, ["predictions", "replay", "p0"]).exit_code == 1
    audited = run(app, ["predictions", "audit", "--json"])
    assert (audited.exit_code, '"erased": 1' in audited.output, '"complete": true' in audited.output) == (0, True, True)
    assert run(app, ["predictions", "erase", "--model", MODEL, "--reason", "none"]).exit_code == 1
