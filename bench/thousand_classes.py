"""What 1,000 classes, and 1,000 categories of a feature, take of every step and report: seconds of the
processor, and memory at its most.

    python bench/thousand_classes.py [--classes 1000] [--rows 100000] [--hours 24] [--step NAME]

The traffic is `--rows` rows an hour, with labels. One hour of it goes through the spool, the rollups and the log, as it
does in production; the other hours are copies of that one, written into both stores directly. Each step runs in a
process of its own (`--step` runs one again in the home that `--home` names). The estimator costs next to nothing: it
draws its probabilities from a table. Nothing is asserted; the promise is 1 GB and a minute for each.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd

    from mlops_dagster.components import ModelSpec
    from mlops_dagster.registry import ModelVersion
    from mlops_dagster.schema import ModelSchema
    from mlops_dagster.wiring import House

MODEL = "catalogue"
TODAY = datetime(2026, 3, 2, tzinfo=UTC)
TRAINING_DAYS = 30
NUMBERS = ("x", "y", "price")
STEPS: dict[str, Callable[[], str]] = {}


def step(function: Callable[[], str]) -> Callable[[], str]:
    """One line of the table: its text is what it made, and how much of it."""
    STEPS[function.__name__] = function
    return function


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--classes", type=int, default=1000)
    parser.add_argument("--rows", type=int, default=100_000, help="an hour")
    parser.add_argument("--hours", type=int, default=24)
    parser.add_argument("--home")
    parser.add_argument("--step")
    parser.add_argument("--only", nargs="*", help="the steps to run, in the order of the file")
    given = parser.parse_args()
    os.environ |= {"CLASSES": str(given.classes), "ROWS": str(given.rows), "HOURS": str(given.hours)}
    if given.step:
        os.environ["MLOPS_HOME"] = given.home
        made = STEPS[given.step]()
        print(json.dumps({"made": made, "seconds": cpu_seconds(), "peak_mb": peak()}))
        return
    print(f"{'step':<16}{'seconds':>9}{'peak MB':>9}  made", flush=True)
    with tempfile.TemporaryDirectory() as made:
        for name in given.only or STEPS:
            print(line(name, measured(given.home or made, given, name)), flush=True)


def measured(home: str, given: argparse.Namespace, name: str) -> dict[str, Any]:
    sizes = ["--classes", str(given.classes), "--rows", str(given.rows), "--hours", str(given.hours)]
    command = [sys.executable, __file__, *sizes, "--home", home, "--step", name]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        return {"made": (done.stderr.strip().splitlines() or ["killed"])[-1][:150], "seconds": 0, "peak_mb": 0}
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def line(name: str, found: dict[str, Any]) -> str:
    return f"{name:<16}{found['seconds']:>9.1f}{found['peak_mb']:>9,.0f}  {found['made']}"


def cpu_seconds() -> float:
    """Of the processor, imports and child processes included: the machine may be busy with other things."""
    used = os.times()
    return used.user + used.system + used.children_user + used.children_system


def peak() -> float:
    """In MB. Not from getrusage: what it tells begins with the peak of the process that started this one."""
    (found,) = (each for each in Path("/proc/self/status").read_text().splitlines() if each.startswith("VmHWM"))
    return int(found.split()[1]) / 1000


# The world: a class is a cell of a grid, its rows lie around it, a tenth of them in the cell of another class.


def sizes() -> tuple[int, int, int]:
    return int(os.environ["CLASSES"]), int(os.environ["ROWS"]), int(os.environ["HOURS"])


@cache
def classes() -> tuple[str, ...]:
    return tuple(f"class {number:04}" for number in range(sizes()[0]))


@cache
def schema() -> "ModelSchema":
    from mlops_dagster.schema import Feature, ModelSchema

    features = [Feature(name=name, kind="numeric") for name in NUMBERS]
    features += [Feature(name=name, kind="categorical") for name in ("shop", "region")]
    return ModelSchema(features=tuple(features), classes=classes())


def sample(rows: int, seed: int) -> "pd.DataFrame":
    """Rows with their `label`; a tenth of them look like rows of another class."""
    import numpy as np
    import pandas as pd

    rng = np.random.default_rng(seed)
    label = rng.integers(len(classes()), size=rows)
    seen = np.where(rng.random(rows) < 0.1, rng.integers(len(classes()), size=rows), label)
    side = int(len(classes()) ** 0.5) + 1
    return pd.DataFrame(
        {
            "x": seen % side + rng.normal(scale=0.1, size=rows),
            "y": seen // side + rng.normal(scale=0.1, size=rows),
            "price": rng.exponential(size=rows),
            "shop": np.array([f"shop {number:04}" for number in range(1000)])[rng.integers(1000, size=rows)],
            "region": np.array(["north", "south", "east", "west"])[rng.integers(4, size=rows)],
            "label": np.array(classes())[label],
        }
    )


def answers(rows: "pd.DataFrame") -> "npt.NDArray[np.object_]":
    """What a version says of them: the class of the cell."""
    import numpy as np

    side = int(len(classes()) ** 0.5) + 1
    cell = np.rint(rows["x"]).astype(int) + side * np.rint(rows["y"]).astype(int)
    return np.array(classes(), dtype=object)[cell.clip(0, len(classes()) - 1)]


def estimator() -> object:
    """Gaussians around the cells, fitted by hand: fast, and a classifier that is taken as it is."""
    from sklearn.compose import make_column_transformer
    from sklearn.naive_bayes import GaussianNB
    from sklearn.pipeline import make_pipeline

    return make_pipeline(make_column_transformer(("passthrough", ["x", "y"])), GaussianNB())


def spec() -> "ModelSpec":
    from mlops_dagster.components import ModelSpec

    return ModelSpec.model_validate(
        {
            "model": MODEL,
            "trainer": "nobody.asks",
            "training": {"dataset": "made up", "window_days": TRAINING_DAYS, "evaluation_days": 15},
            "gates": {"min_micro_f1": 0.5},
            "card": {
                "intended_use": "a bench",
                "failure_modes": ["none"],
                "contacts": ["me"],
                "fairness_attribute": ["region", "shop"],
            },
        }
    )


def house(at: datetime = TODAY) -> "House":
    from mlops_dagster.clock import ReplayedClock
    from mlops_dagster.settings import Settings
    from mlops_dagster.wiring import House

    return House(Settings(home=Path(os.environ["MLOPS_HOME"])), ReplayedClock(at), actor="bench")


def champion() -> "ModelVersion":
    found = house().champion(MODEL)
    assert found is not None
    return found


def kept(name: str, made: Callable[[], Any] | None = None) -> Any:
    """What an earlier step has made, or what is made now for the later ones."""
    import pickle

    path = Path(os.environ["MLOPS_HOME"], f"{name}.pickle")
    if made is not None:
        path.write_bytes(pickle.dumps(made()))
    return pickle.loads(path.read_bytes())  # written by the line above


def training_set() -> "pd.DataFrame":
    import pandas as pd

    rows = sizes()[1]
    frame = sample(rows, 1)
    frame["event_time"] = pd.Timestamp(TODAY - timedelta(days=TRAINING_DAYS)) + pd.to_timedelta(
        [TRAINING_DAYS * 86_400 * number / rows for number in range(rows)], unit="s"
    ).floor("us")
    return frame


def size(text: str | bytes) -> str:
    return f"{len(text) / 1e6:.2f} MB"


@step
def schema_built() -> str:
    """With its metadata, as a server tells it."""
    import orjson

    from mlops_dagster.serving.metadata import describe_model

    return f"metadata {size(orjson.dumps(describe_model(MODEL, ['1.0.0'], schema())))}, {schema().digest[:8]}"


@step
def suite() -> str:
    from mlops_dagster.monitoring import validate
    from mlops_dagster.monitoring.suites import suite_of

    found = validate(training_set(), suite_of(schema(), None, spec().validation, {}), "training_set", alpha=1e-5)
    return f"{found.rows:,} rows, {found.expectations} expectations, passed {found.passed}"


@step
def candidate() -> str:
    """Fitted on one half, judged on the other, by region and by shop."""
    from mlops_dagster.retraining.candidate import fit_candidate

    def made() -> object:
        trainer: Any = SimpleNamespace(SCHEMA=schema(), estimator=estimator)
        return fit_candidate(
            trainer,
            training_set(),
            dataset="made up",
            evaluate_from=TODAY - timedelta(days=15),
            fairness_attributes=spec().card.fairness_attributes,
        )

    found = kept("candidate", made)
    return f"artifact {size(found.artifact)}, {len(found.evaluation)} slices, {found.metrics}"


@step
def card() -> str:
    from mlops_dagster.monitoring import provable, regime_lines
    from mlops_dagster.registry import ModelCard, Validation, to_html

    found = kept("candidate")
    policies = spec()

    def made() -> object:
        return ModelCard(
            provenance=found.provenance,
            evaluation=found.evaluation,
            fairness=found.fairness,
            intended_use="a bench",
            failure_modes=("none",),
            contacts=("me",),
            validation=Validation(suite="schema", expectations=3, rows=10, passed=True),
            regimes=regime_lines(found.baseline, policies.drift),
            provable=provable(
                found.evaluation,
                found.baseline.design_effects,
                found.baseline.evaluated_days,
                policies.concept,
                policies.performance,
            ),
        )

    its = kept("card", made)
    page = to_html(its, baseline=found.baseline)
    written = its.to_markdown()
    lines = written.splitlines()
    return (
        f"JSON {size(its.model_dump_json())}, Markdown {size(written)} in {len(lines):,} lines, the longest "
        f"{max(map(len, lines)):,} characters, HTML {size(page)}"
    )


@step
def registered() -> str:
    from mlops_dagster.registry import Stage

    found, its = kept("candidate"), kept("card")
    path = Path(os.environ["MLOPS_HOME"], "model.skops")
    path.write_bytes(found.artifact)
    registry = house(TODAY - timedelta(hours=1)).registry
    for version in ("1.0.0", "1.1.0"):
        path.write_bytes(found.artifact + b"" if version == "1.0.0" else found.artifact)
        made = registry.register(MODEL, path, version, schema=schema(), card=its, baseline=found.baseline)
        if version == "1.0.0":
            registry.transition(made, Stage.PRODUCTION, force=True, reason="a bench")
    registry.close()
    return f"database {house().settings.home.joinpath('mlops.sqlite').stat().st_size / 1e6:.1f} MB"


@step
def shown() -> str:
    """`mlops models show`, `list` and `card`: how much text a person gets."""
    return ", ".join(
        f"{command[1]} {size(cli(*command))}"
        for command in (("models", "show", MODEL, "1.0.0"), ("models", "list"), ("models", "card", MODEL, "1.0.0"))
    )


@step
def compared() -> str:
    """`mlops models compare`."""
    found = cli("models", "compare", MODEL, "1.0.0", "1.1.0")
    return f"{size(found)} in {len(found.splitlines()):,} lines"


def cli(*command: str) -> str:
    from typer.testing import CliRunner

    from mlops_dagster.cli.main import app

    found = CliRunner().invoke(app, list(command), env={"MLOPS_HOME": os.environ["MLOPS_HOME"]})
    if found.exit_code:
        raise RuntimeError(found.output or repr(found.exception))
    return found.output


if __name__ == "__main__":
    main()
