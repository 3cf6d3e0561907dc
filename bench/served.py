"""What the benchmarks of the data plane share: a small model, a home that serves it, and servers in processes."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import httpx
import numpy as np
import pandas as pd
import psutil
from sklearn.linear_model import LogisticRegression

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
from mlops_dagster.settings import Settings
from mlops_dagster.statistics import CategoricalBins, Histogram, NumericBins
from mlops_dagster.stores import Stores
from mlops_dagster.tasks import Classification

Found = TypeVar("Found")

MODEL = "bench"
FEATURES = tuple(f"x{number}" for number in range(11))
SCHEMA = ModelSchema(
    features=tuple(Feature(name=name, kind="numeric") for name in FEATURES), task=Classification(classes=("0", "1"))
)
BODIES = 500
START_SECONDS = 60

_DAY = datetime(2026, 1, 1, tzinfo=UTC)
_CARD = ModelCard(
    provenance=Provenance(dataset="made up", digest="0", start=_DAY, end=_DAY, rows=2_000),
    evaluation=(EvaluationSlice(name="overall", rows=9, metrics={"micro_f1": 1, "macro_f1": 1, "accuracy": 1}),),
    intended_use="Benchmark.",
    failure_modes=("none",),
    fairness=FairnessAudit(attribute="x0", groups={"all": {"accuracy": 1}}, max_gap=0),
    validation=Validation(suite="schema", expectations=11, rows=2_000, passed=True),
)


def make_data(rows: int = 2_000) -> tuple[pd.DataFrame, "np.ndarray[tuple[int], np.dtype[np.int64]]"]:
    """Made-up rows of FEATURES, and their classes 0 and 1."""
    generator = np.random.default_rng(11)
    values = generator.normal(size=(rows, len(FEATURES)))
    classes = (values @ np.linspace(-1, 1, len(FEATURES)) + generator.normal(size=rows) > 0).astype(np.int64)
    return pd.DataFrame(values, columns=list(FEATURES)), classes


def make_bodies(*, columns: bool = False) -> list[bytes]:
    """Bodies of one row each: one 2-D tensor, or one tensor a feature; each with a routing key of its own."""
    frame, _ = make_data(BODIES)
    return [_body(number, values, columns) for number, values in enumerate(frame.to_numpy().tolist())]


def _body(number: int, values: Sequence[float], columns: bool) -> bytes:
    parameters: dict[str, str] = {"routing_key": f"customer {number}"}
    inputs: list[dict[str, object]] = [
        {"name": "features", "shape": [1, len(values)], "datatype": "FP64", "data": list(values)}
    ]
    if columns:
        parameters["content_type"] = "pd"  # what MLServer needs to be told
        inputs = [
            {"name": name, "shape": [1], "datatype": "FP64", "data": [value]}
            for name, value in zip(FEATURES, values, strict=True)
        ]
    return json.dumps({"parameters": parameters, "inputs": inputs}).encode()


def make_stores(home: Path, *, canary_weight: float = 0.0) -> Stores:
    """A home with a champion and, if it is to have traffic, a canary: the same regression, fitted on half the rows."""
    stores = Stores(Settings(home=home), actor="bench")
    frame, classes = make_data()
    bins = {name: NumericBins.fit(frame[name].to_numpy()) for name in FEATURES}
    score = NumericBins(tuple(np.linspace(0, 1, 11)[1:-1].tolist()))
    baseline = Baseline(
        {name: Histogram.of(its, frame[name].tolist()) for name, its in bins.items()},
        Histogram.of(score, [0.5]),
        Histogram.of(CategoricalBins(SCHEMA.task.truths), ["0"]),
    )

    def register(version: str, rows: int) -> ModelVersion:
        estimator = LogisticRegression().fit(frame[:rows], classes[:rows])
        return stores.registry.register(MODEL, estimator, version, schema=SCHEMA, card=_CARD, baseline=baseline)

    stores.registry.transition(register("1.0.0", len(frame)), Stage.PRODUCTION)
    if canary_weight:
        stores.registry.transition(register("1.1.0", len(frame) // 2), Stage.CANARY, weight=canary_weight)
    return stores


@dataclass(frozen=True)
class Server:
    """One that runs; its processes are counted together."""

    name: str
    port: int
    process: psutil.Process
    model: str = MODEL

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v2/models/{self.model}/infer"

    def cpu_seconds(self) -> float:
        """User and system time of all its processes so far."""
        times = [process.cpu_times() for process in (self.process, *self.process.children(recursive=True))]
        return sum(its.user + its.system for its in times)

    def get(self, path: str) -> httpx.Response:
        return httpx.get(f"http://127.0.0.1:{self.port}{path}", timeout=60).raise_for_status()

    def post(self, path: str, content: bytes = b"") -> httpx.Response:
        answer = httpx.post(f"http://127.0.0.1:{self.port}{path}", content=content, timeout=60)
        return answer.raise_for_status()


@contextmanager
def data_plane(stores: Stores, workers: int = 1, model: str = MODEL) -> Iterator[Server]:
    """`mlops serve` as it comes, ready and with the latest deployment in force."""
    home = stores.settings.home
    address = home / "serving.json"
    environment = {"MLOPS_HOME": str(home), "MLOPS_PORT": "0", "MLOPS_WORKERS": str(workers)}
    with running([sys.executable, "-m", "mlops_dagster.cli", "serve"], home, environment) as process:
        port = int(json.loads(eventually(lambda: address.exists() and address.read_text()))["port"])
        eventually(lambda: is_ready(port, model))
        wanted = stores.registry.deployment(model).epoch
        eventually(lambda: wanted in {entry.epoch for entry in stores.registry.acknowledgements(model)})
        yield Server("ours", port, process, model)


@contextmanager
def running(command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> Iterator[psutil.Process]:
    """A server's process; at the end of the block it is asked to stop, and after 30 s made to."""
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=folder, env={**os.environ, **environment}, stdout=log, stderr=subprocess.STDOUT
        )
    try:
        yield psutil.Process(process.pid)
    except TimeoutError as error:
        error.add_note((folder / "server.log").read_text(errors="replace")[-2000:])
        raise
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def is_ready(port: int, model: str = MODEL) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/v2/models/{model}/ready").status_code == 200
    except httpx.TransportError:
        return False


def eventually(found: Callable[[], Found | None], seconds: float = START_SECONDS) -> Found:
    """The first truthy result of `found`; TimeoutError after `seconds`."""
    deadline = time.monotonic() + seconds
    while not (result := found()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {seconds:g} s")
        time.sleep(0.05)
    return result


def load_average() -> str:
    """How busy the machine was in the last minute, by whomever."""
    return f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
