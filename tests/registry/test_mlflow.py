"""The catalogue, as MLflow's own client reads it from a real server."""

import hashlib
import itertools
import json
import logging
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from mlops_dagster.clock import ReplayedClock
from mlops_dagster.errors import (
    ArtifactNotFoundError,
    IncompleteCardError,
    InvalidInputError,
    ServerError,
    UnsafeArtifactError,
)
from mlops_dagster.registry import ModelCard, ModelRegistry, ModelVersion, Stage, estimators, session
from mlops_dagster.registry.mlflow import server as rest
from mlops_dagster.settings import Settings
from tests.support import weed
from tests.support.pages import ROOT, follow

if TYPE_CHECKING:
    from mlflow import MlflowClient

_numbers = itertools.count()


@pytest.fixture(scope="module")
def client(mlflow_server) -> "MlflowClient":
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=mlflow_server.address, registry_uri=mlflow_server.address)


@pytest.fixture
def model() -> str:
    """A name of this test's own: the server is shared."""
    return f"flights-{next(_numbers)}"


@pytest.fixture
def open_registry(tmp_path: Path, monkeypatch, clock: ReplayedClock) -> Iterator[Callable[..., ModelRegistry]]:
    """Registries on one home."""
    monkeypatch.setenv("MLOPS_HOME", str(tmp_path / "home"))
    opened = []

    def open_registry(uri: str | None = None, settings: Settings | None = None) -> ModelRegistry:
        opened.append(ModelRegistry(uri, settings=settings, clock=clock, actor="tester"))
        return opened[-1]

    yield open_registry
    for registry in opened:
        registry.close()


@pytest.fixture
def registry(open_registry, mlflow_server) -> ModelRegistry:
    return open_registry(mlflow_server.uri)


@pytest.fixture
def silent(open_registry) -> ModelRegistry:
    """The same registry, with no catalogue to tell."""
    return open_registry()


@pytest.fixture
def put(model: str, tmp_path: Path, card: ModelCard) -> Callable[..., ModelVersion]:
    def put(registry: ModelRegistry, version: str, **about: object) -> ModelVersion:
        artifact = tmp_path / "model.onnx"
        artifact.write_text(f"bytes of {version}")
        return registry.register(model, artifact, version, **{"card": card, **about})

    return put


@dataclass
class Shown:
    """What MLflow shows of a model."""

    versions: list[str]
    """In the order of their numbers."""
    stages: Mapping[str, str]
    aliases: Mapping[str, str]


def shown(client: "MlflowClient", model: str) -> Shown:
    found = sorted(client.search_model_versions(f"name = '{model}'"), key=lambda entry: int(entry.version))
    names = {str(entry.version): entry.tags["mlops.version"] for entry in found}
    aliases = client.get_registered_model(model).aliases
    return Shown(
        [entry.tags["mlops.version"] for entry in found],
        {entry.tags["mlops.version"]: entry.tags["mlops.stage"] for entry in found},
        {alias: names[str(number)] for alias, number in aliases.items()},
    )


def assert_in_step(client: "MlflowClient", registry: ModelRegistry, model: str) -> None:
    versions, deployment = registry.list(model), registry.deployment(model)
    aliases = {"champion": deployment.champion, "canary": deployment.canary}
    assert shown(client, model) == Shown(
        [entry.version for entry in versions],
        {entry.version: entry.stage.value for entry in versions},
        {alias: version for alias, version in aliases.items() if version is not None},
    )


def test_a_version_is_shown_with_everything(registry: ModelRegistry, client, model: str, put, card: ModelCard) -> None:
    version = put(
        registry,
        "v2.4.1",
        tags={"env": "prod", "approved by": "Zoë 🛫", "empty": ""},
        description="Hotfix: +0.6 % acc – größer",
        metrics={"accuracy": 0.93, "micro_f1": 0.1 + 0.2},
    )
    registry.transition(version, "Production")
    (entry,) = client.search_model_versions(f"name = '{model}'")
    digest = version.digest
    assert entry.tags == {
        "mlops.version": "2.4.1",
        "mlops.digest": digest,
        "mlops.stage": "Production",
        "mlops.card": card.model_dump_json(),
        "mlops.metrics.accuracy": "0.93",
        "mlops.metrics.micro_f1": "0.30000000000000004",
        "env": "prod",
        "approved by": "Zoë 🛫",
        "empty": "",
    }
    assert (int(entry.version), entry.description) == (1, "Hotfix: +0.6 % acc – größer")
    assert entry.source == f"mlops:/sha256/{digest[:2]}/{digest[2:4]}/{digest}"
    assert client.get_model_version_by_alias(model, "champion").version == entry.version
    later = card.model_copy(update={"intended_use": "Only for tests."})
    registry.attach_card(version, later)
    (entry,) = client.search_model_versions(f"name = '{model}'")
    assert entry.tags["mlops.card"] == later.model_dump_json()


def test_what_mlflow_does_not_take_is_cut_or_moved_and_says_so(
    registry: ModelRegistry, client, model: str, put, card: ModelCard
) -> None:
    odd = {
        "who?": "a",
        "../up": "b",
        "/root": "c",
        "a//b": "d",
        "": "e",
        "k" * 251: "f",
        "newline\n": "g",
        "mlops.stage": "Production",
        "mlops.metrics.accuracy": "1.0",
        "mlflow.prompt.is_prompt": "true",
    }
    failures = tuple(f"{number}: 雪" * 1000 for number in range(20))
    put(
        registry,
        "1.0.0",
        tags={**odd, "größe/cm": "x" * 200_000, "half": "a\ud800b", "nul": "a\0b", "number": 7},
        metrics={"f1@k": 0.5, "accuracy": 0.93},
        description="ü" * 6000,
        card=card.model_copy(update={"failure_modes": failures}),
    )
    (entry,) = client.search_model_versions(f"name = '{model}'")
    assert (entry.tags["mlops.stage"], entry.tags["mlops.metrics.accuracy"]) == ("Registered", "0.93")
    assert json.loads(entry.tags["mlops.more"]) == {**odd, "mlops.metrics.f1@k": "0.5"}
    assert entry.tags["mlops.card"].startswith('{"task":"classification","provenance":')
    assert "SHA-256" in entry.tags["mlops.card"]
    assert [entry.tags[key] for key in ("half", "nul", "number")] == ["a?b", "a\ufffdb", "7"]
    lengths = [len(text) for text in (entry.tags["größe/cm"], entry.tags["mlops.card"], entry.description)]
    assert lengths == [16_000, 16_000, 5_000]


def test_aliases_follow_the_deployment(registry: ModelRegistry, client, model: str, put) -> None:
    def aliases() -> Mapping[str, str]:
        return shown(client, model).aliases

    registry.transition(put(registry, "1.0.0"), "Production")
    canary = put(registry, "1.1.0")
    registry.transition(canary, "Canary", weight=0.1)
    assert aliases() == {"champion": "1.0.0", "canary": "1.1.0"}
    registry.withdraw(canary, reason="bad")
    assert aliases() == {"champion": "1.0.0"}
    registry.transition(put(registry, "2.0.0-rc.1"), "Production")
    assert aliases() == {"champion": "2.0.0"}
    assert_in_step(client, registry, model)
    registry.rollback(model, reason="bad")
    assert aliases() == {"champion": "1.0.0"}
    assert shown(client, model).stages["2.0.0"] == "Deprecated"
    assert_in_step(client, registry, model)


def test_a_server_that_is_new_gets_all_of_it_once(
    silent: ModelRegistry, open_registry, mlflow_server, client, model: str, put
) -> None:
    for minor in range(3):
        silent.transition(put(silent, f"1.{minor}.0"), "Production")
    silent.transition(put(silent, "1.3.0"), "Canary", weight=0.5)
    events = len(silent.history(model))
    with pytest.raises(InvalidInputError, match="MLOPS_MLFLOW_URL=mlflow://host:port"):
        silent.sync_catalogue()

    told = open_registry(settings=Settings(mlflow_url=mlflow_server.uri))
    assert told.sync_catalogue() == events
    assert_in_step(client, told, model)
    assert told.sync_catalogue() == 0

    put(told, "1.4.0")  # named by the settings, the catalogue is told by `sync_catalogue` only
    assert "1.4.0" not in shown(client, model).versions
    told.publish_policies(f"{model}-to-come", {"gates": {}})  # MLflow has no place for a model without a version
    assert told.sync_catalogue() == 2
    assert_in_step(client, told, model)

    # Under another name it is another server, to be told of everything: it has it already.
    again = open_registry(settings=Settings(mlflow_url=mlflow_server.uri.replace("127.0.0.1", "localhost")))
    assert again.sync_catalogue() == events + 2
    assert_in_step(client, told, model)

    client.delete_registered_model(model)
    put(told, "1.5.0")
    assert told.sync_catalogue() == 1
    assert_in_step(client, told, model)


def test_what_others_wrote_in_mlflow_stays(registry: ModelRegistry, client, model: str, put) -> None:
    client.create_registered_model(model, description="theirs")
    theirs = client.create_model_version(model, "s3://theirs/model", tags={"mlops.version": "1.0.0"})
    client.set_registered_model_alias(model, "best", theirs.version)
    version = put(registry, "1.0.0")
    (ours,) = (found for found in client.search_model_versions(f"name = '{model}'") if found.version != theirs.version)
    client.set_model_version_tag(model, ours.version, "seen by", "ada")
    client.update_model_version(model, ours.version, "better words")
    registry.transition(version, "Production")
    assert client.get_registered_model(model).aliases == {"best": theirs.version, "champion": ours.version}
    assert client.get_model_version(model, theirs.version).tags == {"mlops.version": "1.0.0"}
    ours = client.get_model_version(model, ours.version)
    assert (ours.tags["seen by"], ours.description, ours.tags["mlops.stage"]) == ("ada", "better words", "Production")


def test_death_of_the_server_in_the_middle_loses_and_doubles_nothing(
    silent: ModelRegistry, registry: ModelRegistry, mlflow_server, client, model: str, put, monkeypatch, caplog
) -> None:
    for minor in range(5):
        silent.transition(put(silent, f"1.{minor}.0"), "Production")
    create, created = rest.MlflowServer._create, []

    def create_then_die(*arguments: object) -> None:
        created.append(create(*arguments))
        if len(created) == 3:
            mlflow_server.kill()

    monkeypatch.setattr(rest.MlflowServer, "_create", create_then_die)
    try:
        with pytest.raises(ServerError, match=f"server {mlflow_server.address} cannot be reached") as error:
            registry.sync_catalogue()
        assert (error.value.code, len(created)) == ("server", 3)

        caplog.set_level(logging.WARNING)
        start = time.monotonic()
        registry.transition(put(registry, "1.5.0"), "Canary", weight=0.2)
        assert time.monotonic() - start < 2
        assert registry.deployment(model).canary == "1.5.0"
        assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING"]
        assert "the change is made and kept" in caplog.text
    finally:
        mlflow_server.kill()
        mlflow_server.launch()
        mlflow_server.wait()
    put(registry, "1.6.0")  # the next write brings all that was missed
    assert registry.sync_catalogue() == 0
    assert_in_step(client, registry, model)


def test_a_server_that_hangs_delays_a_write_by_seconds_only(open_registry, model: str, put, monkeypatch) -> None:
    monkeypatch.setattr(session, "CATALOGUE_SECONDS", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as hanging:  # takes the connection, and never answers
        registry = open_registry(f"mlflow://127.0.0.1:{hanging.getsockname()[1]}")
        start = time.monotonic()
        put(registry, "1.0.0")
        assert 0.5 <= time.monotonic() - start < 2
    assert registry.models() == [model]


def test_a_version_shown_by_two_at_once_stays_once(
    silent: ModelRegistry, open_registry, mlflow_server, client, model: str, put, monkeypatch
) -> None:
    put(silent, "1.0.0")
    first, second = (open_registry(mlflow_server.uri) for _ in range(2))
    create = rest.MlflowServer._create

    def create_after_somebody_else(*arguments: object) -> None:
        monkeypatch.setattr(rest.MlflowServer, "_create", create)
        assert second.sync_catalogue() == 1
        create(*arguments)

    monkeypatch.setattr(rest.MlflowServer, "_create", create_after_somebody_else)
    assert first.sync_catalogue() == 0
    assert_in_step(client, first, model)
    (entry,) = client.search_model_versions(f"name = '{model}'")
    assert int(entry.version) == 1


def test_old_facts_never_stay_over_newer_ones(
    silent: ModelRegistry, open_registry, mlflow_server, client, model: str, put, monkeypatch
) -> None:
    version = put(silent, "1.0.0")
    first, second = (open_registry(mlflow_server.uri) for _ in range(2))
    first.sync_catalogue()
    silent.transition(version, "Shadow")
    show = rest.MlflowServer.show

    def show_late(*arguments: object) -> int:
        monkeypatch.setattr(rest.MlflowServer, "show", show)
        second.transition(version, "Deprecated")
        assert shown(client, model).stages == {"1.0.0": "Deprecated"}
        return show(*arguments)

    monkeypatch.setattr(rest.MlflowServer, "show", show_late)
    first.sync_catalogue()
    assert_in_step(client, first, model)


SYNC = """
import sys
from mlops_dagster.registry import ModelRegistry
registry = ModelRegistry(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
print(registry.sync_catalogue())
"""


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_processes_that_sync_at_once_show_everything_once(
    database: str,
    request: pytest.FixtureRequest,
    monkeypatch,
    open_registry,
    mlflow_server,
    client,
    model: str,
    put,
    start_process: Callable[..., "subprocess.Popen[str]"],
) -> None:
    if database == "postgresql":
        monkeypatch.setenv("MLOPS_DATABASE_URL", request.getfixturevalue("postgresql"))
    silent = open_registry()
    for minor in range(10):
        silent.transition(put(silent, f"1.{minor}.0"), "Production")
    events = len(silent.history(model))
    workers = [start_process(SYNC, mlflow_server.uri) for _ in range(3)]
    assert [worker.stdout.readline() for worker in workers] == ["ready\n"] * 3
    for worker in workers:
        worker.stdin.write("go\n")
        worker.stdin.flush()
    outcomes = [worker.communicate() for worker in workers]
    assert [errors for _, errors in outcomes] == [""] * 3
    assert sum(int(output) for output, _ in outcomes) == events
    assert_in_step(client, silent, model)


@pytest.fixture(scope="module")
def estimator() -> LogisticRegression:
    rng = np.random.default_rng(7)
    rows = rng.normal(size=(50, 2))
    return LogisticRegression().fit(rows, np.where(rows[:, 0] > 0, "late", "on_time"))


@dataclass
class Logged:
    """What a training run left in MLflow."""

    run: str
    model: str


@pytest.fixture(scope="module")
def logged(client: "MlflowClient", estimator: LogisticRegression, tmp_path_factory) -> Logged:
    """A run with a plain artifact and a model in MLflow's format: with skops, which is its default."""
    import mlflow.sklearn
    import skops.io

    folder = tmp_path_factory.mktemp("logged")
    run = client.create_run("0").info.run_id
    skops.io.dump(estimator, folder / "model.skops")
    client.log_artifact(run, str(folder / "model.skops"), "plain")
    mlflow.sklearn.save_model(estimator, folder / "model", pip_requirements=["scikit-learn"])
    mlflow.sklearn.save_model(estimator, folder / "old", serialization_format="cloudpickle", pip_requirements=["x"])
    client.log_artifacts(run, str(folder / "old"), "old")
    model = client.create_logged_model("0", name="classifier", source_run_id=run)
    client.log_model_artifacts(model.model_id, str(folder / "model"))
    client.create_registered_model("classifier")
    version = client.create_model_version("classifier", f"models:/{model.model_id}", run, model_id=model.model_id)
    client.set_registered_model_alias("classifier", "good", version.version)
    return Logged(run, model.model_id)


def test_models_of_mlflow_are_registered_and_loaded(
    registry: ModelRegistry, client, model: str, logged: Logged, estimator: LogisticRegression
) -> None:
    rows = np.random.default_rng(8).normal(size=(20, 2))
    sources = {
        f"runs:/{logged.run}/plain/model.skops": f"runs:/{logged.run}/plain/model.skops",
        f"runs:/{logged.run}/plain": f"runs:/{logged.run}/plain",
        f"runs:/{logged.run}/classifier": f"runs:/{logged.run}/classifier",
        f"models:/{logged.model}": f"models:/{logged.model}",
        "models:/classifier/1": "models:/classifier/1",
        "models:/classifier@good": "models:/classifier/1",
        "models:/classifier/latest/model.skops": "models:/classifier/1/model.skops",
    }
    digests = []
    for uri, pinned in sources.items():
        version = registry.register(model, uri, lineage={"dagster_run": "1234"})
        assert version.lineage == {"mlflow_uri": pinned, "mlflow_run": logged.run, "dagster_run": "1234"}
        np.testing.assert_array_equal(registry.load(version).predict_proba(rows), estimator.predict_proba(rows))
        digests.append(version.digest)
    assert len(set(digests[2:6])) == 1  # one model, by four names
    assert {entry.run_id for entry in client.search_model_versions(f"name = '{model}'")} == {logged.run}


def test_what_cannot_be_registered_from_mlflow_says_why(
    registry: ModelRegistry, silent: ModelRegistry, open_registry, model: str, logged: Logged, put
) -> None:
    put(registry, "1.0.0")
    for error, uri, message in (
        (UnsafeArtifactError, f"runs:/{logged.run}/old", "Convert it: load it once where you trust it"),
        (ArtifactNotFoundError, f"runs:/{logged.run}/absent", "no artifact at"),
        (ArtifactNotFoundError, "runs:/ghost/model", "has no 'runs:/ghost/model'"),
        (ArtifactNotFoundError, "models:/classifier/7", "has no 'models:/classifier/7'"),
        (ArtifactNotFoundError, "models:/classifier@bad", "has no"),
        (ArtifactNotFoundError, "models:/m-ghost", "has no"),
        (InvalidInputError, "models:/classifier/Production", "write runs:/RUN/path"),
        (InvalidInputError, f"models:/{model}/1", f"is {model} 1.0.0 of a registry, shown in MLflow"),
    ):
        with pytest.raises(error, match=message):
            registry.register("other", uri)
    with pytest.raises(InvalidInputError, match="no MLflow server to ask"):
        silent.register("other", f"runs:/{logged.run}/plain")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        gone = f"mlflow://ada:secret@127.0.0.1:{probe.getsockname()[1]}"
    with pytest.raises(ServerError, match="cannot be reached") as failure:
        open_registry(gone).register("other", f"runs:/{logged.run}/plain")
    assert "secret" not in failure.value.message
    assert registry.models() == [model]


def test_the_sdk_as_the_design_shows_it(
    open_registry,
    mlflow_server,
    s3_server: str,
    s3: str,
    client,
    card: ModelCard,
    tmp_path: Path,
    estimator: LogisticRegression,
    monkeypatch,
) -> None:
    monkeypatch.setenv("MLOPS_STORAGE_URL", f"s3://{s3}/registry")
    file = estimators.save(estimator, tmp_path / "model.skops")
    weed.client(s3_server).upload_file(str(file), s3, "classifier/v2.4.1/model.skops")

    registry = open_registry(uri=mlflow_server.uri)
    version = registry.register(
        model_name="classifier-prod",
        artifact_uri=f"s3://{s3}/classifier/v2.4.1",
        version="2.4.1",
        tags={"env": "prod", "approved_by": "mlops-team"},
        description="Hotfix: improved OOD robustness +0.6% acc",
        metrics={"accuracy": 0.93},
        lineage={"dagster_run": "1234"},
    )
    with pytest.raises(IncompleteCardError):
        registry.transition(version, stage="Production")
    registry.attach_card(version, card)
    when = registry.transition(version, stage="Production").created_at
    assert registry.get("classifier-prod", "2.4.1").stage is Stage.PRODUCTION
    assert [entry.version for entry in registry.list("classifier-prod")] == ["2.4.1"]
    assert registry.champion("classifier-prod") == registry.get("classifier-prod", "v2.4.1")
    later = registry.register("classifier-prod", estimator, card=card)
    registry.transition(later, stage="PROD")
    assert registry.deployment("classifier-prod").champion == "2.4.2"
    assert registry.rollback("classifier-prod", reason="too slow").champion == "2.4.1"
    assert registry.as_of("classifier-prod", when).champion == "2.4.1"
    assert registry.history("classifier-prod")[-1].reason == "too slow"
    assert [file.name for file in registry.fetch(version, tmp_path / "copy").iterdir()] == ["model.skops"]

    assert_in_step(client, registry, "classifier-prod")
    champion = client.get_model_version_by_alias("classifier-prod", "champion")
    assert champion.description == "Hotfix: improved OOD robustness +0.6% acc"
    assert (
        champion.tags.items()
        >= {
            "env": "prod",
            "approved_by": "mlops-team",
            "mlops.version": "2.4.1",
            "mlops.digest": version.digest,
            "mlops.metrics.accuracy": "0.93",
        }.items()
    )
    sha256 = version.digest.removeprefix("folder-")
    assert champion.source == f"s3://{s3}/registry/sha256/{sha256[:2]}/{sha256[2:4]}/{version.digest}"
    manifest = weed.client(s3_server).get_object(Bucket=s3, Key=champion.source.removeprefix(f"s3://{s3}/"))
    assert hashlib.sha256(manifest["Body"].read()).hexdigest() == sha256  # it is there, where MLflow says


def test_a_home_moves_to_servers_by_the_commands_of_its_page(
    postgresql: str, s3: str, mlflow_server, client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLOPS_HOME", str(tmp_path / "home"))
    Path("model.onnx").write_bytes(b"...")
    page = ROOT / "docs" / "how-to" / "postgresql-s3-mlflow.md"
    addresses = {
        "postgresql://user@host/database": postgresql,
        "s3://bucket": f"s3://{s3}",
        "mlflow://host:5000": mlflow_server.uri,
    }
    follow(page, monkeypatch, addresses)
    assert client.get_model_version("income", "1").tags["mlops.version"] == "1.0.0"
