"""One parent, one housekeeper and two workers, as one data plane."""

import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

from mlops_dagster.cli import app
from mlops_dagster.errors import AlreadyRunningError, InvalidInputError, RefusedError, ServerError
from mlops_dagster.predictions import audit
from mlops_dagster.rehearsal.home import LOCK, fresh_home
from mlops_dagster.serving.processes.supervisor import run
from mlops_dagster.settings import Settings
from mlops_dagster.stores import Stores
from tests.support.serving.data_plane import ForkedServer, Models, Server, children, eventually, log_rows, logged_ids
from tests.support.serving.light import light_artifacts
from tests.support.serving.load import load_on

MODEL = "many"


def connections(pid: int) -> int:
    links = [str(link.readlink()) for link in Path(f"/proc/{pid}/fd").iterdir() if link.is_symlink()]
    return sum(link.startswith("socket:") for link in links)


@pytest.fixture(scope="module")
def start_afresh(models: Models) -> Iterator[Callable[..., Server]]:
    """Starts data planes as operators do, and not by a fork."""
    servers: list[Server] = []

    def start(**environment: str) -> Server:
        servers.append(Server(models.stores.settings.home, MLOPS_WORKERS="2", MLOPS_DRAIN_SECONDS="2", **environment))
        return servers[-1]

    yield start
    for server in servers:
        server.stop(signal.SIGKILL)


@pytest.fixture(scope="module")
def pair(models: Models, start_afresh: Callable[..., Server]) -> Server:
    models.champion(MODEL)
    models.canary(MODEL, "1.1.0", 0.4)
    server = start_afresh(MLOPS_HANG_SECONDS="2")
    server.wait_in_force(models.stores, MODEL)
    return server


def test_both_workers_share_the_connections_and_a_key_stays_in_its_arm(pair: Server) -> None:
    workers = children(pair, "worker")
    before = [connections(pid) for pid in workers]
    port = pair.address["port"]
    opened = [socket.create_connection(("127.0.0.1", port)) for _ in range(16)]
    eventually(lambda: sum(map(connections, workers)) == sum(before) + 16)
    shares = [connections(pid) - was for pid, was in zip(workers, before, strict=True)]
    for connection in opened:
        connection.close()
    assert min(shares) >= 4, shares

    with load_on(MODEL, lambda: port, callers=8) as load:
        load.wait_for(300)
    assert not load.refused
    assert len(load.versions) == 50
    assert all(len(versions) == 1 for versions in load.versions.values()), "whichever worker answers"
    assert {"1.0.0", "1.1.0"} == set.union(*load.versions.values())


@pytest.mark.parametrize("way", ["serve", "dev", "rehearse", "python -m mlops_dagster.serving"])
def test_a_second_server_on_the_home_is_refused_at_once_with_the_first_ones_name(
    pair: Server, models: Models, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    home = models.stores.settings.home
    first = f"process {pair.process.pid} on {socket.gethostname()} at 127.0.0.1 port {pair.address['port']}"
    if way in ("serve", "dev"):
        monkeypatch.setenv("MLOPS_HOME", str(home))
        monkeypatch.setattr("mlops_dagster.dev.run_together", lambda *_: pytest.fail("Dagster was started"))
        refused = CliRunner().invoke(app, [way])
        assert (refused.exit_code, first in " ".join(refused.output.split())) == (1, True), refused.output
        return
    (home / LOCK).touch()  # as if a rehearsal had made the home
    with pytest.raises(AlreadyRunningError, match=first), fresh_home(home) if way == "rehearse" else nullcontext():
        run(models.stores.settings)
    assert pair.client.get("/v2/health/ready").status_code == 200


def test_a_label_reaches_the_answer_whichever_worker_takes_it(pair: Server) -> None:
    """Workers share one spool: what one answered every other knows."""
    ids = [pair.infer(MODEL).json()["id"] for _ in range(4)]
    content = {"labels": [{"prediction_id": name, "label": "late"} for name in ids]}
    url, said = f"http://127.0.0.1:{pair.address['port']}/v1/models/{MODEL}/feedback", []
    for _ in range(12):  # each on a connection of its own, which the kernel deals to either worker
        answer = httpx.post(url, json=content)
        said.append((answer.status_code, answer.json()["accepted"], answer.json()["unknown"]))
    assert said == [(200, 4, [])] * 12


def test_another_weight_is_acknowledged_by_every_worker(pair: Server, models: Models) -> None:
    epoch = models.stores.registry.deployment(MODEL).epoch
    after = models.stores.registry.set_canary_weight(MODEL, 0.5, expected_epoch=epoch).epoch
    eventually(lambda: pair.in_force(models.stores, MODEL, after), seconds=2)
    assert models.stores.registry.workers() >= set(pair.address["processes"]), "each says that it is there"


def test_what_dies_is_started_again_and_that_is_counted(pair: Server) -> None:
    housekeeper, worker = children(pair, "housekeeper")[0], children(pair, "worker")[0]
    for victim in (housekeeper, worker):
        os.kill(victim, signal.SIGKILL)
    eventually(lambda: len(alive := children(pair)) == 3 and not {housekeeper, worker} & {*alive})
    processes = pair.address["processes"]
    eventually(lambda: set(pair.read_address()["processes"]) - set(processes))
    said = pair.log.read_text()
    assert f"(process {worker}) ended with code -9; it is started again in 0.1 s" in said


def test_a_worker_that_gives_no_sign_of_life_is_replaced(pair: Server) -> None:
    hung = children(pair, "worker")[0]
    os.kill(hung, signal.SIGSTOP)
    eventually(lambda: hung not in children(pair))
    assert f"(process {hung}) is killed: it gave no sign of life for 2 s" in pair.log.read_text()
    eventually(lambda: len(children(pair, "worker")) == 2)


def test_none_outlives_its_supervisor_and_the_address_is_free_again(
    pair: Server, models: Models, start_afresh: Callable[..., Server]
) -> None:
    family = children(pair)
    assert len(family) == 3
    pair.stop(signal.SIGKILL)
    heir = start_afresh(MLOPS_PORT=str(pair.address["port"]))
    assert heir.address["port"] == pair.address["port"]
    eventually(lambda: not any(Path(f"/proc/{pid}").exists() for pid in family))
    heir.wait_in_force(models.stores, MODEL)

    with load_on(MODEL, lambda: heir.address["port"], callers=8) as load:
        load.wait_for(200)
        assert heir.stop(signal.SIGTERM) == 0
    report = audit(models.stores.spool, models.stores.log)
    assert report.complete
    assert report.spooled == 0, "the housekeeper ends last"
    scored = log_rows(models.stores, MODEL, "prediction_id", "role")
    for roles in ({"champion", "canary"}, {"paired"}):  # the answers, and the work off the response path
        assert load.answered <= {row["prediction_id"] for row in scored if row["role"] in roles}


def cpu_seconds(pid: int) -> float:
    """What a process has used so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_the_housekeeper_goes_last_and_ships_what_was_answered_after_the_signal(tmp_path: Path) -> None:
    stores = Stores(Settings(home=tmp_path / "home"), actor="test")
    Models(stores, light_artifacts(tmp_path, turns=1_000_000)).champion("slow")
    server = ForkedServer(stores.settings.home)
    (worker,) = children(server, "worker")
    idle = cpu_seconds(worker)
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(server.infer, "slow")
        eventually(lambda: cpu_seconds(worker) > idle + 0.3)
        server.process.send_signal(signal.SIGTERM)
        identity = answer.result().json()["id"]
    assert server.stop() == 0
    assert logged_ids(stores, "slow") == [identity]
    stores.registry.close()
    stores.spool.close()


def test_a_worker_that_hangs_holds_up_the_end_for_no_longer_than_was_promised(
    models: Models, start_server: Callable[..., Server]
) -> None:
    server = start_server(MLOPS_WORKERS="2", MLOPS_DRAIN_SECONDS="0")
    os.kill(children(server, "worker")[0], signal.SIGSTOP)
    begin = time.monotonic()
    assert server.stop(signal.SIGTERM) == 0
    assert time.monotonic() - begin < 6
    assert not (models.stores.settings.home / "serving.json").exists()


def test_what_cannot_work_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="needs one worker, not 2"):
        run(Settings(home=tmp_path, workers=2, accept_event_time=True))
    with pytest.raises(ServerError, match=r"cannot listen on 203\.0\.113\.1 port 1"):
        run(Settings(home=tmp_path, host="203.0.113.1", port=1, allow_anonymous=True))
    with pytest.raises(RefusedError, match=r"203\.0\.113\.1 can be reached by others, and there is no token"):
        run(Settings(home=tmp_path, host="203.0.113.1", port=1))


def test_who_cannot_start_says_why_and_the_supervisor_gives_up(tmp_path: Path) -> None:
    (tmp_path / "spool.sqlite").write_bytes(b"not a database" * 100)
    with pytest.raises(AssertionError, match="spool.sqlite is damaged"):
        Server(tmp_path)
