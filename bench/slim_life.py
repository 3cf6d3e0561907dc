"""A model's life with the base dependencies alone: registered, promoted, served, asked, logged and shipped.

    python -I bench/slim_life.py HOME

`bench/slim_install.py` runs it with the Python of an environment that has nothing else; the first failure ends it.
"""

import json
import os
import pkgutil
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from typer.testing import CliRunner

import mlops_dagster
from mlops_dagster.cli import app
from mlops_dagster.extras import MODULES
from mlops_dagster.monitoring import make_baseline
from mlops_dagster.registry import ModelCard, ModelRegistry, Provenance, Validation, audit_fairness, evaluate
from mlops_dagster.schema import Feature, ModelSchema
from mlops_dagster.tasks import Classification

ABOUT_AN_EXTRA = (
    "components",
    "definitions",
    "defs",
    "monitoring.pages.evidently_page",
    "monitoring.pages.whylogs_columns",
    "registry.mlflow.delivery",
    "registry.mlflow.server",
    "rehearsal",
)
"""Modules that are of no use without their extra; all others are imported without any."""
PROGRAMS = ("__main__", "database.migrations")


def nothing_else_is_here() -> None:
    """Fail if any extra is installed, or if a module of the base needs one to be imported."""
    present = [module for modules in MODULES.values() for module in modules if find_spec(module) is not None]
    assert not present, f"installed beside the base: {present}"
    for found in pkgutil.walk_packages(mlops_dagster.__path__, "mlops_dagster."):
        name = found.name.removeprefix("mlops_dagster.")
        if not name.startswith((*ABOUT_AN_EXTRA, *PROGRAMS)) and not name.endswith(PROGRAMS):
            import_module(found.name)


def register() -> None:
    """Register a champion with a complete card; its rows were validated where it was trained."""
    generator, end = np.random.default_rng(0), datetime.now(UTC)
    rows = pd.DataFrame({"age": generator.normal(50, 10, 500), "hours": generator.normal(38, 5, 500)})
    groups = generator.choice(["a", "b"], 500).tolist()
    labels = np.where(rows["age"] + rows["hours"] > 88, "high", "low")
    model = LogisticRegression().fit(rows, labels)
    features = tuple(Feature(name=name, kind="numeric", nullable=False) for name in rows)
    schema = ModelSchema(features=features, task=Classification(classes=("high", "low")))
    said = model.predict(rows)
    card = ModelCard(
        provenance=Provenance(dataset="made up", digest="0", start=end - timedelta(days=30), end=end, rows=len(rows)),
        evaluation=(evaluate("overall", labels, said),),
        intended_use="Show that the base is enough.",
        failure_modes=("made up",),
        fairness=audit_fairness(labels, said, groups, attribute="group"),
        validation=Validation(suite="elsewhere", expectations=1, rows=len(rows), passed=True),
    )
    baseline = make_baseline(rows, schema, scores=model.predict_proba(rows)[:, 0], labels=labels)
    registry = ModelRegistry()
    registry.register("income", model, "1.0.0", schema=schema, card=card, baseline=baseline)
    registry.close()


def serve(home: Path) -> None:
    """Run the data plane, ask it, and end it: then it ships what it has answered."""
    programs = Path(sys.executable).parent
    with Path(home, "server.log").open("wb") as log:
        server = subprocess.Popen([programs / "mlops", "serve"], env={**os.environ, "MLOPS_PORT": "0"}, stderr=log)
    try:
        port = _eventually(lambda: json.loads(Path(home, "serving.json").read_text()))["port"]
        _eventually(lambda: _ask(port, "/v2/models/income/ready"))
        inputs = [
            {"name": name, "datatype": "FP64", "shape": [2], "data": data}
            for name, data in {"age": [30.0, 70.0], "hours": [20.0, 40.0]}.items()
        ]
        answer = json.loads(_ask(port, "/v2/models/income/infer", {"id": "ada", "inputs": inputs}))
        said = {each["name"]: each["data"] for each in answer["outputs"]}
        assert ["low", "high"] in said.values(), said
        assert b"mlops_" in _ask(port, "/metrics")
    finally:
        server.send_signal(signal.SIGTERM)
        code = server.wait(60)
    assert code == 0, Path(home, "server.log").read_text()


def mlops(*arguments: str, code: int = 0) -> str:
    """Return what a command prints; fail if it ends with another code than `code`."""
    found = CliRunner().invoke(app, arguments)
    assert found.exit_code == code, f"mlops {' '.join(arguments)}: {found.output} {found.exception!r}"
    return found.stdout if code == 0 else found.stderr


def extras_are_named(home: Path) -> None:
    """Fail if a command that needs an extra does not say in one line which."""
    for extra, arguments in (
        ("cards", ("models", "card", "income", "1.0.0", "--html", str(home / "card.html"))),
        ("dagster", ("dev",)),
        ("dagster", ("rehearse", "--model", "income", "--requests", "rows.parquet")),
        ("mlflow", ("catalogue", "sync")),
        ("monitoring", ("validation", "suite", "income")),
    ):
        *_, last = mlops(*arguments, code=1).splitlines()
        assert last.startswith("error (missing_extra): "), last
        assert last.endswith(f'`pip install "mlops-dagster[{extra}]"`'), last


def _eventually(look: Any) -> Any:
    end = time.monotonic() + 100
    while True:
        try:
            return look()
        except (OSError, ValueError):
            if time.monotonic() > end:
                raise
            time.sleep(0.05)


def _ask(port: int, path: str, content: object = None) -> bytes:
    """Return the body of the answer to a GET, or to a POST of `content` as JSON; raises ConnectionError unless 200."""
    connection = HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        if content is None:
            connection.request("GET", path)
        else:
            connection.request("POST", path, json.dumps(content), {"Content-Type": "application/json"})
        answer = connection.getresponse()
        body = answer.read()
    finally:
        connection.close()
    if answer.status != 200:
        raise ConnectionError(f"{path}: {answer.status} {body!r}")
    return body


if __name__ == "__main__":
    place = Path(sys.argv[1])
    os.environ.update(MLOPS_HOME=str(place), MLOPS_MLFLOW_URL="mlflow://127.0.0.1:9", COLUMNS="500")
    nothing_else_is_here()
    assert "serve" in mlops("--help")
    register()
    mlops("models", "promote", "income", "1.0.0", "--reason", "the base is enough")
    serve(place)
    counted = json.loads(mlops("predictions", "audit", "--json"))
    assert (counted["answered"], counted["logged"], counted["complete"]) == (2, 2, True), counted
    os.chdir(place)
    mlops("new", "shop")
    extras_are_named(place)
