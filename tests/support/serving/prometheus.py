"""A real Prometheus of Debian's package, and a real Alertmanager, with the files that we ship."""

import contextlib
import socket
import subprocess
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, TypeAlias

import httpx
import orjson
import yaml

from tests.support.serving.data_plane import eventually

Heard: TypeAlias = list[tuple[str, dict[str, Any]]]
"""The receiver and the alert of each message that came to people, as Alertmanager's web hooks have it."""

TRIPS = "increase(mlops_fuse_trips_total[15m])"
DEPLOY = Path(__file__).parents[3] / "deploy"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@contextlib.contextmanager
def prometheus(folder: Path, target: str, alertmanager: str) -> Iterator[httpx.Client]:
    """A client of a Prometheus that scrapes `target` each second with our configuration.

    A fuse that has tripped is forgotten after five seconds instead of minutes, so that its alert is seen to resolve.
    """
    rules = (DEPLOY / "prometheus/rules.yml").read_text()
    assert TRIPS in rules
    (folder / "rules.yml").write_text(rules.replace(TRIPS, TRIPS.replace("15m", "5s")))
    config = yaml.safe_load((DEPLOY / "prometheus/prometheus.yml").read_text())
    config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    config["rule_files"] = [str(folder / "rules.yml")]
    config["scrape_configs"][0]["static_configs"][0]["targets"] = [target]
    config["alerting"]["alertmanagers"][0]["static_configs"][0]["targets"] = [alertmanager]
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    address = f"127.0.0.1:{free_port()}"
    options = (
        f"--storage.tsdb.path={folder / 'tsdb'}",
        f"--web.listen-address={address}",
        "--rules.alert.resend-delay=1s",  # the first alerts come before Alertmanager is known
    )
    with _process(folder, "prometheus", *options) as client_of, client_of(address) as client:
        eventually(lambda: _answers(client, "/-/ready"))
        yield client


def samples(client: httpx.Client, query: str) -> list[object]:
    """The samples that the query has now."""
    answer = client.get("/api/v1/query", params={"query": query}).json()
    assert answer["status"] == "success", (query, answer)
    found: list[object] = answer["data"]["result"]
    return found


@contextlib.contextmanager
def alertmanager(folder: Path, receiver: str) -> Iterator[str]:
    """The address of an Alertmanager with our routes and no waits, whose receivers are web hooks at `receiver`."""
    config = yaml.safe_load((DEPLOY / "alertmanager/alertmanager.yml").read_text())
    for route in (config["route"], *config["route"]["routes"]):
        route |= {"group_wait": "0s", "group_interval": "1s"}
    for each in config["receivers"]:
        each.pop("pagerduty_configs", None)
        each["webhook_configs"] = [{"url": f"http://{receiver}/{each['name']}"}]
    (folder / "alertmanager.yml").write_text(yaml.safe_dump(config))
    address = f"127.0.0.1:{free_port()}"
    options = (
        f"--storage.path={folder / 'alertmanager'}",
        f"--web.listen-address={address}",
        "--cluster.listen-address=",
    )
    with _process(folder, "prometheus-alertmanager", *options) as client_of, client_of(address) as client:
        eventually(lambda: _answers(client, "/-/ready"))
        yield address


@contextlib.contextmanager
def hooks() -> Iterator[tuple[str, Heard]]:
    """The address of a server of web hooks, and what was sent there: path and alerts."""
    heard: Heard = []

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            heard.extend((self.path.strip("/"), each) for each in orjson.loads(body)["alerts"])
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Hook) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_port}", heard
        server.shutdown()


@contextlib.contextmanager
def _process(folder: Path, program: str, *options: str) -> Iterator[Any]:
    name = program.removeprefix("prometheus-")
    command = [program, f"--config.file={folder / name}.yml", "--log.level=error", *options]
    with (folder / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        yield lambda address: httpx.Client(base_url=f"http://{address}", timeout=10)
    finally:
        process.terminate()
        process.wait(10)


def _answers(client: httpx.Client, path: str) -> bool:
    try:
        return client.get(path).status_code == 200
    except httpx.TransportError:
        return False
