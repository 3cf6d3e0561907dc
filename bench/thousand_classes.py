"""What 1,000 classes, and 1,000 categories of a feature, take of every step and report: seconds of the
processor, and memory at its most.

    python bench/thousand_classes.py [--classes 1000] [--rows 100000] [--hours 24] [--step NAME]

The traffic is `--rows` rows an hour, with labels. One hour of it goes through the spool, the rollups and the log, as it
does in production; the other hours are copies of that one, written into both stores directly. Each step runs in a
process of its own (`--step` runs one again in the home that `--home` names). The estimator costs little: Gaussians.
Nothing is asserted; the promise is 1 GB and a minute for each.
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
    from mlops_dagster.stores import Stores

MODEL = "catalogue"
TODAY = datetime(2026, 3, 2, tzinfo=UTC)
YESTERDAY = TODAY - timedelta(days=1)
TRAINING_DAYS = 30
VERSIONS = ("1.0.0", "1.1.0")
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
    print(f"{'step':<20}{'seconds':>9}{'peak MB':>9}  made", flush=True)
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
    return f"{name:<20}{found['seconds']:>9.1f}{found['peak_mb']:>9,.0f}  {found['made']}"


def cpu_seconds() -> float:
    """Of the processor, imports and child processes included: the machine may be busy with other things."""
    used = os.times()
    return used.user + used.system + used.children_user + used.children_system


def peak() -> float:
    """In MB. Not from getrusage: what it tells begins with the peak of the process that started this one."""
    (found,) = (each for each in Path("/proc/self/status").read_text().splitlines() if each.startswith("VmHWM"))
    return int(found.split()[1]) / 1000


# The world: a class is a cell of a grid, its rows lie around it, a tenth of them in the cell of the next class.


def sizes() -> tuple[int, int, int]:
    return int(os.environ["CLASSES"]), int(os.environ["ROWS"]), int(os.environ["HOURS"])


@cache
def classes() -> tuple[str, ...]:
    return tuple(f"class {number:04}" for number in range(sizes()[0]))


@cache
def schema() -> "ModelSchema":
    from mlops_dagster.schema import Feature, ModelSchema
    from mlops_dagster.tasks import Classification

    features = [Feature(name=name, kind="numeric") for name in NUMBERS]
    features += [Feature(name=name, kind="categorical") for name in ("shop", "region")]
    return ModelSchema(features=tuple(features), task=Classification(classes=classes()))


def sample(rows: int, seed: int) -> "pd.DataFrame":
    """Rows with their `label`; a tenth of them look like rows of the next class."""
    import numpy as np
    import pandas as pd

    rng = np.random.default_rng(seed)
    label = rng.integers(len(classes()), size=rows)
    seen = np.where(rng.random(rows) < 0.1, (label + 1) % len(classes()), label)
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
    """Gaussians: fitted and asked in seconds."""
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


def open_stores(at: datetime = TODAY) -> "Stores":
    from mlops_dagster.clock import ReplayedClock
    from mlops_dagster.settings import Settings
    from mlops_dagster.stores import Stores

    return Stores(Settings(home=Path(os.environ["MLOPS_HOME"])), ReplayedClock(at), actor="bench")


def champion() -> "ModelVersion":
    found = open_stores().champion(MODEL)
    assert found is not None
    return found


def kept(name: str, made: Callable[[], Any] | None = None) -> Any:
    """What an earlier step has made, or what is made now for the later ones."""
    import pickle

    path = Path(os.environ["MLOPS_HOME"], f"{name}.pickle")
    if made is not None:
        path.write_bytes(pickle.dumps(made()))
    return pickle.loads(path.read_bytes())  # noqa: S301  # our own: written by the line above


def training_set() -> "pd.DataFrame":
    import pandas as pd

    rows = sizes()[1]
    frame = sample(rows, 1)
    frame["event_time"] = pd.Timestamp(YESTERDAY - timedelta(days=TRAINING_DAYS)) + pd.to_timedelta(
        [TRAINING_DAYS * 86_400 * number / rows for number in range(rows)], unit="s"
    ).floor("us")
    return frame


def size(text: str | bytes) -> str:
    return f"{len(text) / 1e6:.2f} MB"


@step
def schema_built() -> str:
    """With its metadata, as a server tells it."""
    import orjson

    from mlops_dagster.serving.protocol.metadata import describe_model

    return f"metadata {size(orjson.dumps(describe_model(MODEL, ['1.0.0'], schema())))}, {schema().digest[:8]}"


@step
def suite() -> str:
    from mlops_dagster.monitoring import validate
    from mlops_dagster.monitoring.validation.expectations.document import suite_of

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
            evaluate_from=YESTERDAY - timedelta(days=15),
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
    registry = open_stores(YESTERDAY).registry
    for version in VERSIONS:
        made = registry.register(MODEL, path, version, schema=schema(), card=its, baseline=found.baseline)
        if version == VERSIONS[0]:
            registry.transition(made, Stage.PRODUCTION, force=True, reason="a bench")
    registry.close()
    return f"database {open_stores().settings.home.joinpath('mlops.sqlite').stat().st_size / 1e6:.1f} MB"


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


@step
def served() -> str:
    """A data plane: what it answers with all probabilities, and how long that takes."""
    import httpx
    from served import data_plane, eventually, is_ready  # noqa: F401  # of this folder

    sent = sample(100, 7)
    told = []
    with data_plane(open_stores(), model=MODEL) as server:
        for rows, outputs in ((1, None), (1, "probabilities"), (100, "probabilities")):
            columns = sent[:rows].drop(columns="label").to_dict("list")
            inputs = [
                {"name": name, "shape": [rows], "datatype": "FP64" if name in NUMBERS else "BYTES", "data": data}
                for name, data in columns.items()
            ]
            body = {"inputs": inputs} | ({} if outputs is None else {"outputs": [{"name": outputs}]})
            started = time.perf_counter()
            for _ in range(20):
                found = httpx.post(server.url, json=body, timeout=60).raise_for_status()
            took = (time.perf_counter() - started) / 20
            asked = f"{rows} rows{'' if outputs is None else ' with all'}"
            told.append(f"{asked}: {size(found.content)} {took * 1e3:.0f} ms")
        memory = sum(each.memory_info().rss for each in (server.process, *server.process.children(recursive=True)))
    return f"{'; '.join(told)}; all its processes {memory / 1e6:,.0f} MB"


@step
def hour_recorded() -> str:
    """Into the spool: each row answered by the champion, scored by the challenger beside it, and labelled."""
    from mlops_dagster.predictions import PredictionRecord
    from mlops_dagster.predictions.records import Answered

    rows, spool = sample(sizes()[1], 3), open_stores().spool
    beside = Answered(VERSIONS[0], "champion", "ok")
    said, labels = answers(rows), rows.pop("label")
    for number, (features, its, label) in enumerate(zip(rows.to_dict("records"), said, labels, strict=True)):
        at = YESTERDAY + timedelta(hours=1) * (number / len(rows))
        answer = PredictionRecord(
            prediction_id=f"r{number}", request=f"r{number}", model=MODEL, version=VERSIONS[0], role="champion",
            weight=0.5, epoch=1, salt="s", key=None, event_time=at, received_at=at, status="ok", error=None,
            features=features, prediction=its, score=0.9, latency_ms=1.0, process="bench", row=0, unit=f"r{number}",
        )  # fmt: skip
        pending.append(answer)
        pending.append(answer._replace(version=VERSIONS[1], role="paired", beside=beside))
        truths.append((f"r{number}", label, at + timedelta(minutes=1)))
        if len(truths) == 5000 or number == len(rows) - 1:
            spool.append(pending)
            spool.feedback(truths, model=MODEL)
            pending.clear()
            truths.clear()
    return f"{len(rows):,} rows, spool {spool_size() / 1e6:,.0f} MB"


pending: list[Any] = []
truths: list[Any] = []


def spool_size() -> int:
    return sum(path.stat().st_size for path in Path(os.environ["MLOPS_HOME"]).glob("spool*"))


@step
def hour_counted() -> str:
    """The rollups of that hour: how many lines a minute."""
    stores, baseline = open_stores(), champion().baseline
    assert baseline is not None
    bins = {**{name: its.bins for name, its in baseline.features.items()}, "score": baseline.score.bins}
    stores.rollups.catch_up(stores.spool, lambda _model, _version: bins)
    return rollup_lines()


def rollup_lines() -> str:
    import sqlite3

    path = rollup_file()
    with sqlite3.connect(path) as database:
        names = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        lines = {name: database.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in names}  # noqa: S608  # its own names
    most = sorted(lines.items(), key=lambda each: -each[1])[:5]
    return f"{path.stat().st_size / 1e6:,.0f} MB; " + ", ".join(f"{name} {count:,}" for name, count in most)


def rollup_file() -> Path:
    return Path(open_stores().settings.local_rollups.removeprefix("sqlite:///"))


@step
def hour_logged() -> str:
    stores = open_stores()
    rows = stores.log.ship(stores.spool)
    folder = Path(stores.settings.log)
    return f"{rows:,} entries, {sum(path.stat().st_size for path in folder.rglob('*') if path.is_file()) / 1e6:,.0f} MB"


@step
def day_copied() -> str:
    """The other hours: no step of production."""
    import sqlite3

    import pyarrow as pa
    import pyarrow.compute as pc

    from mlops_dagster.predictions.log.delta import tables as delta
    from mlops_dagster.predictions.log.names import LABELS_TABLE, predictions_table

    place = open_stores().log.place
    for name in (predictions_table(MODEL), LABELS_TABLE):
        address = place.table(name)
        table = delta.open_table(address)
        assert table is not None
        first = table.to_pyarrow_table()
        for hour in range(1, sizes()[2]):
            moved = first
            for column in ("event_time", "received_at", "at", "prediction_id", "request", "unit"):
                if column not in first.column_names:
                    continue
                its = first[column]
                if pa.types.is_timestamp(its.type):
                    changed = pc.add(its, pa.scalar(timedelta(hours=hour))).cast(its.type)
                else:
                    changed = pc.binary_join_element_wise(its, f"h{hour}", "")
                moved = moved.set_column(moved.column_names.index(column), first.schema.field(column), changed)
            delta.append(address, delta.open_or_create(address, first.schema), moved, {"bench": hour})
    hours = range(1, sizes()[2])
    with sqlite3.connect(rollup_file()) as database:
        for name, unit in (("minutes", 60), ("latencies", 60), ("pairs", 60), ("outcomes", 60)):
            copy_lines(database, name, "minute", [hour * unit for hour in hours])
        for name in ("confusion", "cells"):
            copy_lines(database, name, "hour", list(hours))
    return rollup_lines()


def copy_lines(database: Any, table: str, time: str, offsets: list[int]) -> None:
    names = [row[1] for row in database.execute(f"PRAGMA table_info({table})")]
    moved = ", ".join(f"{name} + ?" if name == time else name for name in names)
    for offset in offsets:
        database.execute(
            f"INSERT INTO {table} SELECT {moved} FROM {table} WHERE {time} < ?",  # noqa: S608  # its own names
            (offset, first_after(time)),
        )


def first_after(time: str) -> int:
    """The first minute or hour after the one that was recorded."""
    hours = int((YESTERDAY + timedelta(hours=1)).timestamp()) // 3600
    return hours if time == "hour" else hours * 60


def told(metadata: object) -> str:
    import orjson

    return size(orjson.dumps(metadata, option=orjson.OPT_SERIALIZE_NUMPY, default=str))


@step
def batch_validated() -> str:
    """`prediction_batch` of an hour."""
    from mlops_dagster.monitoring.validation.hourly import validate_hours

    stores = open_stores()
    found = validate_hours(stores.log, champion(), stores.quarantine, YESTERDAY, YESTERDAY + timedelta(hours=1))
    return f"{sum(each.rows for each in found.values()):,} rows, {[each.passed for each in found.values()]}"


@step
def drift_report() -> str:
    """Of an hour: the trailing day."""
    from mlops_dagster.monitoring.drift.trailing import trailing_drift

    stores = open_stores()
    found = trailing_drift(stores.registry, stores.rollups, MODEL, TODAY, spec().drift)
    assert found is not None
    return f"{found.drift.verdict}, metadata {told(found.drift.metadata())}"


@step
def profiles() -> str:
    """Of whylogs, an hour."""
    from mlops_dagster.monitoring.pages.whylogs_profiles import profile_hours

    stores = open_stores()
    found = profile_hours(stores.log, MODEL, YESTERDAY, YESTERDAY + timedelta(hours=1), stores.profiles)
    return f"{sum(map(len, found.values()))} files"


@step
def evidently() -> str:
    """The page of the last hour of a run."""
    from mlops_dagster.monitoring.drift.trailing import trailing_drift
    from mlops_dagster.monitoring.pages.evidently_reports import publish_report

    stores = open_stores()
    found = trailing_drift(stores.registry, stores.rollups, MODEL, TODAY, spec().drift)
    assert found is not None
    rows = stores.settings.report_rows
    link = publish_report(stores.log, found.champion, found.drift, YESTERDAY, TODAY, rows=rows, files=stores.reports)
    return f"{Path(str(link)).stat().st_size / 1e6:.1f} MB"


@step
def performance_report() -> str:
    """Of a day, with the estimate from scores and the counts by slice and group."""
    from mlops_dagster.loop.judging.judge_days import count_day_of_model

    its = champion()
    day = count_day_of_model(open_stores(), spec(), its, {its.version: its.task}, YESTERDAY)
    assert day.answers is not None
    assert day.estimate is not None
    return (
        f"{day.performance.rows:,} rows, report {told(day.performance.metadata())}, "
        f"day {told(day.answers.metadata())}, estimate {told(day.estimate.metadata())}"
    )


@step
def macro_f1_floor() -> str:
    from mlops_dagster.rollout.floor.look import look_at_floor

    stores, policies = open_stores(), spec()
    days = [YESTERDAY.date()]
    look = look_at_floor(
        stores.registry, stores.log, MODEL, policies.performance, policies.rollout, matured=days, until=TODAY
    )
    assert look is not None
    return look.decision.reason


@step
def concept_report() -> str:
    """Of the days since the promotion, with what drift has to do with it."""
    from mlops_dagster.loop.judging.concept import look_at_concept
    from mlops_dagster.loop.judging.days_of_answers import count_day
    from mlops_dagster.loop.shown.champion import concept_entries

    stores, policies, its = open_stores(), spec(), champion()
    day = count_day(stores, policies, its, YESTERDAY.date())
    report = look_at_concept(stores, policies, its, {YESTERDAY.date(): day}, TODAY)
    assert report is not None
    return f"{report.verdict}, metadata {told(concept_entries(report, TODAY))}"


@step
def label_drift() -> str:
    from mlops_dagster.monitoring import label_drift as label_drift_of
    from mlops_dagster.monitoring.drift.labels import histogram_of

    stores, baseline = open_stores(), champion().baseline
    assert baseline is not None
    counts = stores.rollups.label_counts(MODEL, TODAY - timedelta(days=7), TODAY)
    found = label_drift_of(baseline, histogram_of(baseline.label.bins, counts), spec().drift, hours=24)
    return f"{found.verdict} of {found.rows:,} labels, metadata {told(found.metadata())}"


@step
def recounted() -> str:
    """`mlops drift --rows` of the day."""
    sides = ("--reference", f"{VERSIONS[0]}@training", "--current", f"{YESTERDAY:%Y-%m-%d}")
    return cli("drift", MODEL, *sides, "--rows").splitlines()[0]


@step
def champion_challenger() -> str:
    """The comparison, on 20,000 rows of the day."""
    from mlops_dagster.rollout.comparison.same_rows import compare_on_log

    stores = open_stores()
    old, new = (stores.registry.get(MODEL, version) for version in VERSIONS)
    found = compare_on_log(stores.registry, stores.log, old, new, spec().rollout, until=TODAY)
    text = found.to_markdown()
    return f"{found.sample.compared:,} rows, Markdown {size(text)} in {len(text.splitlines()):,} lines"


@step
def rollout_look() -> str:
    """Evidence and decision of a rollout that has run since the day began."""
    from mlops_dagster.rollout.collect import collect
    from mlops_dagster.rollout.decide import decide

    stores = open_stores()
    before = open_stores(YESTERDAY)
    rollout = before.rollouts.active(MODEL)
    if rollout is None:
        before.controller(lambda _model: spec().rollout).tick(MODEL)
        rollout = before.rollouts.active(MODEL)
    assert rollout is not None
    begun = os.times().user
    evidence = collect(stores.rollups, replace(rollout), TODAY)
    gathered = os.times().user
    decision = decide(rollout.policy, rollout, evidence, TODAY)
    took = f"evidence {gathered - begun:.1f} s, decision {os.times().user - gathered:.1f} s"
    return f"{took}, {decision.outcome}, JSON {size(decision.to_json())}"


if __name__ == "__main__":
    main()
