"""Secrets in every place where one may stand, and a whole run: none is in any file, table, log, page or message."""

import base64
import json
import logging
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import ModuleType
from urllib.parse import quote

import dagster as dg
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from dagster._utils.error import serializable_error_info_from_exc_info
from sqlalchemy import MetaData, create_engine, make_url, select
from starlette.testclient import TestClient
from typer.testing import CliRunner

from mlops_dagster.board.app import create_app
from mlops_dagster.board.snapshot import Cache, explain
from mlops_dagster.cli import app
from mlops_dagster.components import Platform
from mlops_dagster.defs.alert_delivery import alert_delivery
from mlops_dagster.defs.alerts import alerts
from mlops_dagster.registry import Stage
from mlops_dagster.stores import Stores
from tests.components.test_training import train, trainer  # noqa: F401  # a fixture
from tests.registry.test_signing import write_key
from tests.support.channels.stub import Asked, Reply, on_loopback
from tests.support.serving.data_plane import ForkedServer

SECRETS = {
    "TEST_PD": "canarypagerduty00000000000000000",
    "TEST_GH": "ghp_canary-of-github",
    "TEST_HOOK": "whsec_" + base64.b64encode(b"canary-of-the-hook-0").decode(),
    "TEST_HOOK_PATH": "canary-of-the-hook-path",
    "TEST_CHAT": "canary-of-the-chat",
    "DATABASE": "canary/of@the+database",
    "WAREHOUSE": "canary-of-the-warehouse",
    "AWS_SECRET_ACCESS_KEY": "canary+of/the+bucket",
    "HEARTBEAT": "canary-of-the-heartbeat",
    "MLFLOW": "canary-of-mlflow",
    "TRACES": "canary-of-the-traces",
}


def forms(secret: str) -> Iterator[bytes]:
    """The secret as it stands, in a URL, in JSON, and in base64 after any number of bytes."""
    yield from (each.encode() for each in (secret, quote(secret), quote(secret, safe=""), json.dumps(secret)[1:-1]))
    for before in range(3):
        text = base64.b64encode(b"-" * before + secret.encode())
        yield text[4 if before else 0 : -4]  # what stands next to the secret changes the ends


class Parrot:
    """Refuses everything, and repeats what it was sent."""

    def __init__(self) -> None:
        self.refused: list[str] = []
        self.asked: list[Asked] = []

    def answer(self, asked: Asked) -> Reply:
        self.asked.append(asked)
        return Reply(400, {"message": f"{asked.path} {asked.headers} {asked.body!r}"})


@pytest.fixture
def parrot(tmp_path: Path, postgresql: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Parrot]:
    """A vendor of everything, with an environment in which each secret stands where operators put it."""
    server = Parrot()
    private, public = write_key(tmp_path / "key", ec.generate_private_key(ec.SECP256R1()))
    with on_loopback(server) as address:
        host = address.removeprefix("http://")
        (tmp_path / "github").write_text(SECRETS["TEST_GH"])
        (tmp_path / "github").chmod(0o600)
        (tmp_path / "channels.yaml").write_text(
            "channels:\n"
            f'  oncall: {{type: pagerduty, routing_key: "${{TEST_PD}}", url: "{address}/v2/enqueue"}}\n'
            f'  tickets: {{type: github, repository: acme/ml, token_file: {tmp_path}/github, url: "{address}"}}\n'
            '  bus: {type: webhook, url: "${TEST_HOOK_URL}", secret: "${TEST_HOOK}"}\n'
            '  chat: {type: apprise, url: "${TEST_CHAT_URL}"}\n'
            f'  prom: {{type: alertmanager, url: "{address}"}}\n'
            "routes: [{critical: [oncall, tickets, bus, chat, prom], warning: [tickets, bus, chat], info: [bus]}]\n"
        )
        database = make_url(postgresql).set(password=SECRETS["DATABASE"]).render_as_string(hide_password=False)
        variables = SECRETS | {
            "TEST_HOOK_URL": f"{address}/{SECRETS['TEST_HOOK_PATH']}",
            "TEST_CHAT_URL": f"json://ada:{SECRETS['TEST_CHAT']}@{host}/{SECRETS['TEST_CHAT']}",
            "MLOPS_HOME": str(tmp_path / "home"),
            "MLOPS_DATABASE_URL": database,
            "MLOPS_CHANNELS": str(tmp_path / "channels.yaml"),
            "MLOPS_HEARTBEAT_URL": f"{address}/{SECRETS['HEARTBEAT']}",
            "MLOPS_MLFLOW_URL": f"mlflow://ada:{SECRETS['MLFLOW']}@{host}",
            "MLOPS_SIGNING_KEY": str(private),
            "MLOPS_TRUSTED_KEY": str(public),
            "AWS_ACCESS_KEY_ID": "AKIA",
            "AWS_ENDPOINT_URL": address,
            "OTEL_EXPORTER_OTLP_ENDPOINT": address,
            "OTEL_EXPORTER_OTLP_HEADERS": f"authorization={SECRETS['TRACES']}",
            "OTEL_TRACES_SAMPLER": "always_on",
        }
        for name, text in variables.items():
            monkeypatch.setenv(name, text)
        yield server


def look(platform: Platform, instance: dg.DagsterInstance) -> Iterator[str]:
    """Evaluate the sensors of alerts, and yield what Dagster keeps of a tick: its message, or its error."""
    for sensor in (alerts, alert_delivery):
        with dg.build_sensor_context(instance, resources={"platform": platform}) as context:
            try:
                yield str(sensor.evaluate_tick(context))
            except Exception:  # Dagster keeps any error
                yield str(serializable_error_info_from_exc_info(sys.exc_info()))


def commands(*listed: str) -> Iterator[str]:
    for command in listed:
        found = CliRunner().invoke(app, command.split())
        yield f"{command}: {found.output} {found.exception}"


def pages(stores: Stores, token: str) -> Iterator[str]:
    with stores.tokens.copied():
        its = create_app(stores, Cache(stores).get, partial(explain, stores))
        client = TestClient(its, base_url="http://127.0.0.1")
        for path in ("/", "/live", "/models/made-up", "/models/made-up/versions/1.0.0"):
            answer = client.get(path, headers={"authorization": f"Bearer {token}"})
            assert answer.status_code == 200, answer.text
            yield answer.text


def serve(stores: Stores, token: str) -> Iterator[str]:
    """What a data plane says: answers, metrics, its log."""
    (version,) = stores.versions("made-up")
    stores.registry.transition(version, Stage.PRODUCTION, force=True, reason="a test")
    server = ForkedServer(stores.settings.home)
    server.client.headers["authorization"] = f"Bearer {token}"
    server.wait_in_force(stores, "made-up")
    rows = [{"name": name, "shape": [1], "datatype": kind, "data": [value]} for name, kind, value in (
        ("delay", "FP64", 1.0), ("carrier", "BYTES", "AA"), ("origin", "BYTES", "JFK"))]  # fmt: skip
    answers = [server.post("/v2/models/made-up/infer", {"inputs": inputs}) for inputs in (rows, [])]
    assert [answer.status_code for answer in answers] == [200, 400]
    yield from (answer.text + str(answer.headers) for answer in answers)
    yield server.client.get("/metrics").text
    assert server.stop() == 0
    yield server.log.read_text()


def token(scope: str) -> str:
    made = CliRunner().invoke(app, ["tokens", "create", scope, "--scope", scope])
    assert made.exit_code == 0, made.output
    return made.stdout.strip()


def postgresql_away() -> str:
    return f"postgresql://ada:{quote(SECRETS['DATABASE'], safe='')}@127.0.0.1:1/mlops"


def register(home: Path, instance: dg.DagsterInstance) -> dg.ExecuteInProcessResult:
    """A version that an asset of a project registers, in a bucket that refuses it."""

    @dg.asset
    def registered(platform: Platform) -> None:
        (home / "model.txt").write_text("weights")
        platform.stores().registry.register("made-up", home / "model.txt")

    found = dg.materialize(
        [registered], instance=instance, resources={"platform": Platform(home=str(home))}, raise_on_error=False
    )
    (home / "model.txt").unlink()
    return found


def rows_of(database: str) -> str:
    engine = create_engine(make_url(database).set(drivername="postgresql+psycopg"))
    tables = MetaData()
    tables.reflect(engine)
    with engine.connect() as connection:
        found = "\n".join(str(row) for table in tables.sorted_tables for row in connection.execute(select(table)))
    engine.dispose()
    return found


def test_no_secret_is_anywhere_after_a_whole_run(
    parrot: Parrot,
    trainer: ModuleType,  # noqa: F811
    tmp_path: Path,
    postgresql: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setattr("mlops_dagster.defs.alerts.dagster_troubles", lambda _instance: {})  # no daemon runs here
    (tmp_path / "dagster").mkdir()
    home, said = tmp_path / "home", []
    tokens = [token(scope) for scope in ("read", "infer")]

    def reads_a_warehouse(*_: object) -> None:
        raise RuntimeError(f"connection to postgresql://ada:{SECRETS['WAREHOUSE']}@warehouse/rows failed")

    with dg.DagsterInstance.local_temp(str(tmp_path / "dagster")) as instance:
        found, platform = train(home, instance, retries=0)
        assert found.success
        stores = platform.stores()
        runs = [found]
        with monkeypatch.context() as patch:
            patch.setenv("MLOPS_STORAGE_URL", "s3://models/prefix")
            runs.append(register(home, instance))
        with monkeypatch.context() as patch:
            patch.setenv("MLOPS_DATABASE_URL", postgresql_away())
            found, away = train(home, instance, retries=0)
            runs.append(found)
            said += [*look(away, instance), *commands("models list", "alerts list --json")]
        monkeypatch.setattr(trainer, "training_set", reads_a_warehouse)
        runs.append(train(home, instance, retries=0)[0])
        assert [run.success for run in runs] == [True, False, False, False]
        said += [*serve(stores, tokens[1]), *look(platform, instance), *pages(stores, tokens[0])]
        said += commands("alerts list --all --json", "alerts outbox", "alerts test tickets", "board --json")
        said += commands("policies show made-up --json", "catalogue sync", "predictions slowest made-up")
        said += [str(event) for run in runs for event in instance.all_logs(run.run_id)]
        said += [str(run) for run in instance.get_runs()]
    assert any("did not take the test: 400 Bad Request" in each for each in said)
    said += [caplog.text, *map(str, capfd.readouterr()), rows_of(postgresql)]
    files = [path for folder in ("home", "dagster") for path in (tmp_path / folder).rglob("*") if path.is_file()]
    kept = {str(path): path.read_bytes() for path in files}
    kept |= {f"said {number}: {text[:40]}": text.encode() for number, text in enumerate(said)}
    key = "".join((tmp_path / "key.pem").read_text().split("\n")[1:2])
    for name, secret in {
        **SECRETS,
        "hook": "canary-of-the-hook-0",
        "key": key,
        "read": tokens[0],
        "infer": tokens[1],
    }.items():
        assert secret
        leaks = [place for place, text in kept.items() if any(form in text for form in forms(secret))]
        assert not leaks, (name, leaks)
    sent = b"".join(asked.body + str((asked.headers, asked.path)).encode() for asked in parrot.asked)
    used = ("TEST_PD", "TEST_GH", "TEST_HOOK_PATH", "TEST_CHAT", "HEARTBEAT", "TRACES")
    assert [name for name in used if SECRETS[name].encode() not in sent] == [], "what is not used can leak nowhere"
