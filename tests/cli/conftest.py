"""A home with one model, `churn`: a champion, a canary, a shadow, one that was rolled back, and one just registered."""

import os
import subprocess
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mlops_dagster.cli import app
from mlops_dagster.clock import ReplayedClock
from mlops_dagster.registry import (
    Baseline,
    EvaluationSlice,
    FairnessAudit,
    ModelCard,
    ModelRegistry,
    ModelVersion,
    Provenance,
    Validation,
)
from mlops_dagster.schema import Feature, ModelSchema
from mlops_dagster.settings import Settings
from mlops_dagster.statistics import CategoricalBins, Histogram
from mlops_dagster.tasks import Classification
from tests.support.program import MLOPS, START, Mlops
from tests.support.servable import elsewhere


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = tmp_path / "home"
    monkeypatch.setenv("MLOPS_HOME", str(home))
    monkeypatch.setenv("LOGNAME", "ada")
    return home


@pytest.fixture
def mlops(home: Path) -> Mlops:
    """Run a command in this process."""
    return lambda *arguments: CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def program(home: Path) -> Callable[..., "subprocess.CompletedProcess[str]"]:
    """Run the program itself, with more in its environment; stdout may be another file."""

    def program(*arguments: str, stdout: int = subprocess.PIPE, **more: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [MLOPS, *arguments],
            env={**os.environ, **more},
            stdout=stdout,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            timeout=60,
        )

    return program


@pytest.fixture
def make_card() -> Callable[..., ModelCard]:
    """A complete card."""

    def make_card(accuracy: float = 0.95, slices: dict[str, float] | None = None, days: int = 30) -> ModelCard:
        scores = {"overall": accuracy, **(slices or {})}
        return ModelCard(
            provenance=Provenance(
                dataset="payments", digest="ab12", start=START, end=START + timedelta(days=days), rows=1000 * days
            ),
            evaluation=tuple(
                EvaluationSlice(name=name, rows=500, metrics={"micro_f1": score, "macro_f1": score, "accuracy": score})
                for name, score in scores.items()
            ),
            intended_use="Hält eine Zahlung an [zur Prüfung].",
            failure_modes=("new merchants",),
            fairness=FairnessAudit(attribute="country", groups={"FR": {"accuracy": 0.9}}, max_gap=0.02),
            validation=Validation(suite="schema", expectations=3, rows=10, passed=True),
        )

    return make_card


@pytest.fixture
def make_baseline() -> Callable[..., Baseline]:
    """Counts of the feature `country`: how often a, how often b; the score and the label never move."""

    def make_baseline(a: int, b: int) -> Baseline:
        bins = CategoricalBins(("a", "b"))
        still = Histogram(bins, [0, 50, 50, 0])
        return Baseline({"country": Histogram(bins, [0, a, b, 0])}, still, still)

    return make_baseline


@pytest.fixture
def registry(home: Path) -> ModelRegistry:
    return ModelRegistry(settings=Settings(), clock=ReplayedClock(START), actor="ada")


@pytest.fixture
def add(registry: ModelRegistry, tmp_path: Path, make_card: Callable[..., ModelCard]) -> Callable[..., ModelVersion]:
    """Register a file whose bytes follow from the version's name."""

    def add(version: str, card: ModelCard | None = None, **more: object) -> ModelVersion:
        artifact = tmp_path / "model.onnx"
        artifact.write_text(version)
        with elsewhere():
            return registry.register("churn", artifact, version, card=card or make_card(), **more)

    return add


@pytest.fixture
def fleet(registry: ModelRegistry, add: Callable[..., ModelVersion], tmp_path: Path) -> ModelRegistry:
    first, bad, canary, shadow = (add(version) for version in ("1.0.0", "1.1.0", "1.2.0", "1.3.0-rc.1"))
    registry.transition(first, "Production", reason="the first")
    registry.transition(bad, "Production", reason="so [red]good[/red]")
    registry.rollback("churn", reason="it was\nnot")
    registry.transition(canary, "Canary", weight=0.05, reason="rollout 7")
    registry.transition(shadow, "Shadow", reason="late")
    (tmp_path / "plain.onnx").write_text("plain")
    registry.register("churn", tmp_path / "plain.onnx", "2.0.0", metrics={"accuracy": 0.5})
    return registry


@pytest.fixture
def schemas() -> tuple[ModelSchema, ModelSchema]:
    """Age is gone, income came, and country may not be null any more."""
    age, income = Feature(name="age", kind="numeric"), Feature(name="income", kind="numeric")
    country = Feature(name="country", kind="categorical")
    strict = Feature(name="country", kind="categorical", nullable=False)
    return (
        ModelSchema(features=(age, country), task=Classification(classes=("stays", "leaves"))),
        ModelSchema(features=(strict, income), task=Classification(classes=("stays", "leaves"))),
    )
