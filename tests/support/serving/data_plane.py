"""A data plane of test models, its server, and requests to it."""

import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import httpx
import numpy as np
import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder
from sqlalchemy import make_url

from mlops_dagster.registry import (
    Baseline,
    EvaluationSlice,
    FairnessAudit,
    ModelCard,
    ModelVersion,
    Provenance,
    Stage,
    Validation,
)
from mlops_dagster.schema import Feature, ModelSchema
from mlops_dagster.statistics import CategoricalBins, Histogram, NumericBins
from mlops_dagster.stores import Stores
from mlops_dagster.tasks import Classification
from tests.support.forks import Forked
from tests.support.proxy import Proxy
from tests.support.servable import tried_before
from tests.support.serving.forked import supervise

Found = TypeVar("Found")
NOW = datetime(2026, 1, 1, tzinfo=UTC)
CARRIERS = ("AA", "B6", "UA")
SCHEMA = ModelSchema(
    features=(
        Feature(name="delay", kind="numeric"),
        Feature(name="distance", kind="numeric", nullable=False),
        Feature(name="carrier", kind="categorical"),
    ),
    task=Classification(classes=("on_time", "late")),
)
WIDER = ModelSchema(features=(*SCHEMA.features, Feature(name="gate", kind="numeric")), task=SCHEMA.task)
CARD = ModelCard(
    provenance=Provenance(dataset="made up", digest="0", start=NOW, end=NOW, rows=300),
    evaluation=(
        EvaluationSlice(name="overall", rows=9, metrics={"micro_f1": 0.95, "macro_f1": 0.9, "accuracy": 0.95}),
    ),
    intended_use="tests",
    failure_modes=("none",),
    fairness=FairnessAudit(attribute="carrier", groups={"AA": {"accuracy": 0.95}}, max_gap=0.0),
    validation=Validation(suite="schema", expectations=3, rows=10, passed=True),
)


def make_frame(schema: ModelSchema, rows: int = 300) -> pd.DataFrame:
    generator = np.random.default_rng(1)
    return pd.DataFrame(
        {
            f.name: generator.normal(10, 20, rows) if f.kind == "numeric" else generator.choice(CARRIERS, rows)
            for f in schema.features
        }
    )


def make_estimator(schema: ModelSchema, threshold: float = 15.0) -> Pipeline:
    """Late is a delay over the threshold. An unknown carrier makes it raise."""
    frame = make_frame(schema)
    encoder = make_column_transformer((OneHotEncoder(handle_unknown="error"), ["carrier"]), remainder="passthrough")
    trees = HistGradientBoostingClassifier(max_iter=5, max_leaf_nodes=3, random_state=0)
    return make_pipeline(encoder, trees).fit(frame, np.where(frame["delay"] > threshold, "late", "on_time"))


def make_baseline(schema: ModelSchema) -> Baseline:
    frame = make_frame(schema)
    bins = {
        f.name: NumericBins.fit(frame[f.name].to_numpy()) if f.kind == "numeric" else CategoricalBins(CARRIERS)
        for f in schema.features
    }
    score = NumericBins(tuple(np.linspace(0, 1, 11)[1:-1].tolist()))
    return Baseline(
        {name: Histogram.of(its, frame[name].tolist()) for name, its in bins.items()},
        Histogram.of(score, [0.5]),
        Histogram.of(CategoricalBins(schema.task.truths), ["late"]),
    )


@dataclass(frozen=True)
class Models:
    """Puts versions into the registry of one home."""

    stores: Stores
    artifacts: Mapping[tuple[str, float], Pipeline | Path]
    """By the digest of the schema and the threshold."""

    def register(
        self, model: str, version: str, *, schema: ModelSchema = SCHEMA, threshold: float = 15.0
    ) -> ModelVersion:
        estimator = self.artifacts[schema.digest, threshold]
        with tried_before():
            return self.stores.registry.register(
                model, estimator, version, schema=schema, card=CARD, baseline=make_baseline(schema)
            )

    def champion(self, model: str, version: str = "1.0.0") -> ModelVersion:
        return self.stores.registry.transition(self.register(model, version), Stage.PRODUCTION)

    def canary(
        self, model: str, version: str, weight: float, *, schema: ModelSchema = SCHEMA, threshold: float = 15.0
    ) -> ModelVersion:
        registered = self.register(model, version, schema=schema, threshold=threshold)
        return self.stores.registry.transition(registered, Stage.CANARY, weight=weight)


def behind(proxy: Proxy, url: str) -> str:
    """The URL of the database as one reaches it through the proxy."""
    options = {"options": make_url(url).query["options"], "sslmode": "disable"}
    through = make_url(url).set(host="127.0.0.1", port=proxy.port, query=options)
    return through.render_as_string(hide_password=False)


class Server:
    """A data plane, started afresh as operators start theirs: 3 s of CPU, so most tests take a `ForkedServer`."""

    def __init__(
        self, home: Path, *, descriptors: int | None = None, seconds: float = 40.0, **environment: str
    ) -> None:
        (home / "serving.json").unlink(missing_ok=True)
        self.home = home
        self.log = home / "server.log"
        self.process = self._start(
            {**os.environ, "MLOPS_HOME": str(home), "MLOPS_PORT": "0", **environment}, descriptors
        )
        try:
            self.address = eventually(self.read_address, seconds)
        except BaseException:
            self.process.kill()
            raise
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{self.address['port']}", timeout=30)

    def _start(self, environment: Mapping[str, str], descriptors: int | None) -> "subprocess.Popen[bytes] | Forked":
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "mlops_dagster.serving"],
                env=environment,
                stdout=log,
                stderr=log,
                preexec_fn=partial(_limit_descriptors, descriptors) if descriptors else None,
            )

    def read_address(self) -> dict[str, Any] | None:
        """Where it listens, and the names of its worker processes, as the file says now."""
        assert self.process.poll() is None, self.log.read_text()
        path = self.home / "serving.json"
        return json.loads(path.read_text()) if path.exists() else None

    def post(self, path: str, content: object) -> httpx.Response:
        return self.client.post(path, json=content)

    def infer(self, model: str, **options: object) -> httpx.Response:
        return self.post(f"/v2/models/{model}/infer", request(**options))

    def flush(self, *, log: bool = True) -> dict[str, int]:
        return self.post("/v1/flush", {"log": log}).json()

    def wait_ready(self, model: str, version: str | None = None, *, seconds: float = 40.0) -> None:
        path = f"/v2/models/{model}/versions/{version}/ready" if version else f"/v2/models/{model}/ready"
        eventually(lambda: self.client.get(path).status_code == 200, seconds)

    def wait_in_force(self, stores: Stores, model: str) -> None:
        """Until the registry's latest deployment is acknowledged by every worker."""
        epoch = stores.registry.deployment(model).epoch
        eventually(lambda: self.in_force(stores, model, epoch))

    def in_force(self, stores: Stores, model: str, epoch: int) -> bool:
        """Every worker has acknowledged this epoch."""
        return {(process, epoch) for process in self.address["processes"]} <= acknowledged(stores, model)

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal, unless it has ended already; returns its exit code."""
        self.process.send_signal(number)
        code = self.process.wait(60)
        self.client.close()
        return code


class ForkedServer(Server):
    """A data plane whose processes are forked from one that has imported what they need: 0.3 s of CPU."""

    def _start(self, environment: Mapping[str, str], descriptors: int | None) -> Forked:
        with self.log.open("ab") as log:
            return Forked(supervise, descriptors, env=environment, stdout=log.fileno(), share_stderr=True)


def children(server: Server, kind: str = "") -> list[int]:
    """Process ids of the server's children of one kind (worker, housekeeper), in the order of their start."""
    found = []
    for line in Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children").read_text().split():
        try:
            command, name = Path(f"/proc/{line}/cmdline").read_text(), Path(f"/proc/{line}/comm").read_text().strip()
        except FileNotFoundError:  # it has just ended
            continue
        started = next((each for each in ("worker", "housekeeper") if f".{each}\0" in command), name)
        found += [int(line)] if kind in ("", started) else []
    return found


def _limit_descriptors(number: int) -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (number, number))


def acknowledged(stores: Stores, model: str) -> set[tuple[str, int]]:
    return {(entry.process, entry.epoch) for entry in stores.registry.acknowledgements(model)}


def log_rows(stores: Stores, model: str, *columns: str) -> list[dict[str, Any]]:
    """Every row of a model's log, of whatever role."""
    with stores.log.prediction_rows(model) as dataset:
        rows: list[dict[str, Any]] = dataset.to_table(list(columns)).to_pylist()
    return rows


def logged_ids(stores: Stores, model: str) -> list[str]:
    return [row["prediction_id"] for row in log_rows(stores, model, "prediction_id")]


def eventually(found: Callable[[], Found | None], seconds: float = 40.0) -> Found:
    """The first truthy result of `found`; fails after `seconds`."""
    deadline = time.monotonic() + seconds
    while not (result := found()):
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.03)
    return result


def request(
    delay: float | None = 40.0, carrier: str | None = "AA", rows: int = 1, **options: object
) -> dict[str, object]:
    """The body of an infer request; `options` are id, parameters and outputs of the protocol."""
    return {
        **options,
        "inputs": [
            {"name": "delay", "shape": [rows], "datatype": "FP64", "data": [delay] * rows},
            {"name": "distance", "shape": [rows, 1], "datatype": "INT64", "data": [[1000]] * rows},
            {"name": "carrier", "shape": [rows], "datatype": "BYTES", "data": [carrier] * rows},
        ],
    }
