"""Card, comparison on the log, batch scores, replay and the server give a row one answer, whatever the estimator."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import httpx
import numpy as np
import pandas as pd
import pytest
from threadpoolctl import threadpool_limits

from mlops_dagster.inference import Rescorer
from mlops_dagster.registry import ModelVersion, Stage
from mlops_dagster.retraining.batch_scores import BatchFiles, score_batch
from mlops_dagster.retraining.candidate import fit_candidate
from mlops_dagster.schema import ModelSchema
from mlops_dagster.serving.replay import replay
from mlops_dagster.settings import Settings
from mlops_dagster.storage.files import open_files
from mlops_dagster.stores import Stores
from tests.support.inference import cases
from tests.support.inference.cases import NUMBERS, fitted, registrable, rows, threshold_onnx
from tests.support.servable import tried_before
from tests.support.serving.data_plane import ForkedServer, Server, eventually

pytestmark = pytest.mark.filterwarnings("ignore")
ROWS = 12
MARCH = datetime(2013, 3, 1, tzinfo=UTC)


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Threads of OpenMP wait for one another, for long where other tests use the cores."""
    with threadpool_limits(1):
        yield


@dataclass(frozen=True)
class Served:
    """A real server over a home in which every case is the champion of a model of its name."""

    stores: Stores
    server: Server

    def version(self, name: str) -> ModelVersion:
        return self.stores.registry.get(name.lower(), "1.0.0")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    home = tmp_path_factory.mktemp("home")
    stores = Stores(Settings(home=home), actor="test")
    (home / "logits.onnx").write_bytes(threshold_onnx(0.0, logits=True).SerializeToString())
    files = {name.lower(): (case.file, case.schema) for name, case in registrable().items()}
    with tried_before():
        for name, (file, schema) in {**files, "logits": (home / "logits.onnx", NUMBERS)}.items():
            version = stores.registry.register(name, file, "1.0.0", schema=schema)
            stores.registry.transition(version, Stage.PRODUCTION, force=True, reason="a test")
    server = ForkedServer(home, OMP_NUM_THREADS="1")
    with pytest.MonkeyPatch.context() as patch:
        # Batches, comparisons and replay are given one estimator, as loading fifty takes longer than all they do.
        load = stores.registry.load
        loaded = cache(lambda model: load(stores.registry.get(model, "1.0.0")))
        patch.setattr(stores.registry, "load", lambda version: loaded(version.model))
        yield Served(stores, server)
    server.stop()


@cache
def answers(served: Served, name: str) -> list[tuple[str, float] | None]:
    """Label and score of each row, asked for by itself with its place as its id; None where the version fails on it."""
    served.server.wait_ready(name.lower())
    schema = served.version(name).schema
    assert schema is not None
    return [_answer(served, name, schema, place) for place in range(ROWS)]


def _answer(served: Served, name: str, schema: ModelSchema, place: int) -> tuple[str, float] | None:
    row = frame().iloc[place]
    numbers = [feature.name for feature in schema.features if feature.kind == "numeric"]
    inputs: list[dict[str, object]] = [
        {"name": each, "shape": [1], "datatype": "FP64", "parameters": {"binary_data_size": 8}} for each in numbers
    ]  # JSON has no infinity
    if "carrier" in schema.names:
        text = None if pd.isna(row["carrier"]) else row["carrier"]
        inputs.append({"name": "carrier", "shape": [1], "datatype": "BYTES", "data": [text]})
    head = json.dumps({"id": f"{name}-{place}", "inputs": inputs}).encode()
    answer: httpx.Response = served.server.client.post(
        f"/v2/models/{name.lower()}/infer",
        content=head + row[numbers].to_numpy(dtype="<f8").tobytes(),
        headers={"Inference-Header-Content-Length": str(len(head))},
    )
    if answer.status_code != 200:
        assert answer.json()["code"] == "model_failed", answer.text
        return None
    outputs = {each["name"]: each["data"][0] for each in answer.json()["outputs"]}
    return outputs["label"], outputs["score"]


@cache
def frame() -> pd.DataFrame:
    return rows(ROWS, 21, odd=True)


@pytest.mark.parametrize("name", cases.NAMES)
def test_batch_scores_are_those_of_the_server(served: Served, name: str, tmp_path: Path) -> None:
    said, version = answers(served, name), served.version(name)
    assert any(said)
    # A day with a finite row that the version fails on has no scores at all.
    places = [place for place in range(ROWS) if said[place] is not None or np.isinf(frame()["distance"][place])]
    files = BatchFiles(open_files(str(tmp_path), "batch_scores"), name, MARCH)
    files.keep(frame().iloc[places])
    score_batch(files, version, served.stores.registry.load(version))
    scored = pd.read_parquet(files.link).astype(object)
    for place, found in zip(places, scored.where(scored.notna(), None).itertuples(), strict=True):
        label, score = said[place] or (None, None)
        assert found.prediction == label
        assert found.score == (None if score is None else pytest.approx(score, abs=1e-6))


@pytest.mark.parametrize("name", [name for name in cases.NAMES if not name.startswith("onnx")])
def test_the_card_judges_the_labels_that_are_served(served: Served, name: str) -> None:
    """With the answers of the server as the truth, an evaluation of the same estimator finds no mistake."""
    said = answers(served, name)
    places = [place for place in range(ROWS) if said[place] is not None]
    truth = [each[0] for each in said if each is not None]
    judged = pd.concat([frame().iloc[places].assign(label=truth)] * 30, ignore_index=True)
    judged["event_time"] = pd.date_range(MARCH, periods=len(judged), freq="h")
    model, schema = fitted()[name]
    judged.loc[: len(schema.task.truths) - 1, "label"] = schema.task.truths  # rows to fit on, of each class one
    trainer = SimpleNamespace(SCHEMA=schema, fit=lambda _rows, _labels: model)
    evaluate_from = MARCH + timedelta(hours=len(judged) - 110)
    found = fit_candidate(trainer, judged, dataset="", evaluate_from=evaluate_from, fairness_attributes=[])  # type: ignore[arg-type]
    assert found.metrics["accuracy"] == 1.0
    assert int(sum(found.baseline.score.counts)) == 110


def test_comparison_and_replay_say_of_the_log_what_the_server_said(served: Served) -> None:
    said = {name: answers(served, name) for name in cases.NAMES}
    served.server.flush()
    now = served.stores.clock.now()
    for name, known in said.items():
        logged = served.stores.log.labelled(name.lower(), now - timedelta(hours=2), now + timedelta(hours=1))
        places = [int(each.rpartition("-")[2]) for each in logged["prediction_id"].to_pylist()]
        assert sorted(places) == list(range(ROWS))
        found = Rescorer(served.stores.registry, served.version(name)).labels(logged)
        assert found == [each and each[0] for each in map(known.__getitem__, places)], name
        assert found == logged["prediction"].to_pylist()
        assert replay(served.stores, f"{name}-0", name.lower()).same


def test_a_version_that_gives_logits_answers_nobody(served: Served) -> None:
    ready = served.server.client.get("/v2/models/logits/ready")
    assert ready.status_code == 503
    refused = served.server.infer("logits")
    assert refused.status_code == 503
    told = eventually(lambda: re.search("1.0.0 gave row .* which are not probabilities", served.server.log.read_text()))
    assert told
