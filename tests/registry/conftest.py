"""A registry in a folder of its own, with files to register and cards that pass."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, make_url

from mlops_dagster.clock import ReplayedClock
from mlops_dagster.registry import (
    EvaluationSlice,
    FairnessAudit,
    ModelCard,
    ModelRegistry,
    ModelVersion,
    Provenance,
    Validation,
)
from tests.support.registry_start import START, Add


@pytest.fixture
def card() -> ModelCard:
    """Complete, and over the gate."""
    return ModelCard(
        provenance=Provenance(dataset="flights", digest="ab12", start=START, end=START, rows=10),
        evaluation=(
            EvaluationSlice(name="overall", rows=10, metrics={"micro_f1": 0.91, "macro_f1": 0.87, "accuracy": 0.91}),
        ),
        intended_use="Tells the desk which flights will be late.",
        failure_modes=("storms",),
        fairness=FairnessAudit(attribute="carrier", groups={"AA": {"rows": 5, "accuracy": 0.9}}, max_gap=0.02),
        validation=Validation(suite="schema", expectations=3, rows=10, passed=True),
    )


@pytest.fixture
def clock() -> ReplayedClock:
    return ReplayedClock(START)


@pytest.fixture(params=["sqlite", "postgresql"])
def uri(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """An empty database of each kind; the artifacts are under `home` for both."""
    monkeypatch.setenv("MLOPS_HOME", str(tmp_path / "home"))
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/home/mlops.sqlite"
    return str(request.getfixturevalue("postgresql"))


@pytest.fixture
def registry(uri: str, clock: ReplayedClock) -> Iterator[ModelRegistry]:
    registry = ModelRegistry(uri, clock=clock, actor="tester")
    yield registry
    registry.close()


@pytest.fixture
def database(uri: str) -> Iterator[Engine]:
    """The database of the registry behind its back, for whoever wants to change what must not be changed."""
    engine = create_engine(make_url(uri).set(drivername="postgresql+psycopg") if uri.startswith("postgresql") else uri)
    yield engine
    engine.dispose()


@pytest.fixture
def add(registry: ModelRegistry, tmp_path: Path, card: ModelCard) -> Add:
    """Register a file whose bytes follow from the version's name."""

    def add(version: str | None = None, card: ModelCard | None = card, model: str = "flights") -> ModelVersion:
        artifact = tmp_path / "model.onnx"
        artifact.write_text(f"bytes of {version}")
        return registry.register(model, artifact, version, card=card)

    return add


@pytest.fixture
def start_process() -> Callable[..., subprocess.Popen[str]]:
    """Run a script in a Python of its own."""

    def start(script: str, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", script, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return start
