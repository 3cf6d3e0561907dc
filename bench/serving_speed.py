"""The data plane beside MLServer 1.7 on the same machine: one model, the same bodies, 16 connections, one worker each.

Ours answers with everything switched on: every prediction durable in the spool before its answer, rollups and fuse
every second, the log every 5 s, metrics; then once more with a canary at 20 % and paired scoring of every request.
MLServer logs nothing. Blocks of load by `wrk` alternate; after each of ours, what is left is moved to the log before
MLServer has its turn. At the end every answer is looked for in the log.

MLServer runs three times: as it starts by itself (one parallel worker), and tuned, without access log and compression,
scoring in its main process, with and without its adaptive batching: one of these answers more, the other more evenly.
It lives in an environment of its own, made once under the user's cache folder.

    python bench/serving_speed.py [--pairs 6] [--seconds 5] [--columns]

`--columns` sends one tensor a feature rather than one 2-D tensor. Needs `wrk` (apt install wrk).
"""

import argparse
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import NamedTuple

import joblib
import sklearn
from rich.console import Console
from rich.table import Table
from served import (
    MODEL,
    Server,
    data_plane,
    eventually,
    is_ready,
    load_average,
    make_bodies,
    make_data,
    make_stores,
    running,
)
from sklearn.linear_model import LogisticRegression

from mlops_dagster.predictions import audit
from mlops_dagster.stores import Stores

CONNECTIONS = 16
WARM_UP_SECONDS = 2
CANARY_WEIGHT = 0.2

PACKAGES = (
    "mlserver==1.7.*",
    "mlserver-sklearn==1.7.*",
    "uvloop<0.22",
)  # its parallel worker does not start on later ones
TUNED = {"debug": False, "gzip_enabled": False, "parallel_workers": 0}
# Of the model. As many as there are connections; longer and shorter waits than these 2 ms answered no more.
BATCHING = {"max_batch_size": CONNECTIONS, "max_batch_time": 0.002}

PEERS: dict[str, tuple[Mapping[str, object], Mapping[str, object]]] = {
    "MLServer": ({}, {}),
    "MLServer tuned": (TUNED, {}),
    "MLServer tuned, batching": (TUNED, BATCHING),
}
"""Settings of the server, and of its model."""

LUA = """
local requests, next_one = {}, 0
function init()
  for body in io.lines(%r) do
    requests[#requests + 1] = wrk.format("POST", nil, {["Content-Type"] = "application/json"}, body)
  end
end
function request()
  next_one = next_one %% #requests + 1
  return requests[next_one]
end
function done(summary, latency)
  local e = summary.errors
  print(string.format('{"requests": %%d, "microseconds": %%d, "p50": %%d, "p99": %%d, "errors": %%d}',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    e.connect + e.read + e.write + e.status + e.timeout))
end
"""

console = Console(width=150)


class Block(NamedTuple):
    """What one server did under load, while the others should have slept."""

    requests: int
    rate: float
    p50_ms: float
    p99_ms: float
    cpu_us: float  # per request, and the moving to the log after the block counts too
    left_seconds: float  # for which that went on
    idle_share: float  # of one core, taken by the servers that had no load


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=6, help="blocks of each server")
    parser.add_argument("--seconds", type=int, default=5, help="length of a block")
    parser.add_argument("--columns", action="store_true", help="11 column tensors in place of one 2-D tensor")
    options = parser.parse_args()
    if shutil.which("wrk") is None:
        sys.exit("`wrk` makes the load and is not installed; on Debian and Ubuntu: apt install wrk")
    with tempfile.TemporaryDirectory(prefix="mlops-bench-") as name, ExitStack() as stack:
        folder = Path(name)
        bodies = make_bodies(columns=options.columns)
        script = write_script(folder, bodies)
        peers = [
            stack.enter_context(mlserver(name, folder / name, *settings, named=options.columns))
            for name, settings in PEERS.items()
        ]
        for peer in peers:
            wrk(peer, script, WARM_UP_SECONDS)
        for title, weight in (("champion only", 0.0), ("canary at 20 %, every request scored by both", CANARY_WEIGHT)):
            against(peers, title, folder / f"home-{weight:g}", weight, script, bodies, options.pairs, options.seconds)


def against(
    peers: Sequence[Server],
    title: str,
    home: Path,
    canary_weight: float,
    script: Path,
    bodies: Sequence[bytes],
    pairs: int,
    seconds: int,
) -> None:
    stores = make_stores(home, canary_weight=canary_weight)
    with data_plane(stores) as ours:
        check_answers(ours, peers, bodies[:20], compare=not canary_weight)
        acknowledged = len(bodies[:20]) + wrk(ours, script, WARM_UP_SECONDS)["requests"]
        servers = (ours, *peers)
        blocks = [[block(server, servers, script, seconds) for server in servers] for _ in range(pairs)]
        shed = metric(ours, "mlops_shed_total")
    acknowledged += sum(row[0].requests for row in blocks)
    show(title, [server.name for server in servers], blocks)
    if canary_weight:
        still = stores.registry.deployment(MODEL).canary
        console.print(f"scorings of the other arm that were shed: {shed:.0f}; canary at the end: {still}")
    prove_complete(stores, acknowledged, in_flight=CONNECTIONS * (pairs + 1))


def block(server: Server, servers: Sequence[Server], script: Path, seconds: int) -> Block:
    """Load on `server` alone, and, if it is ours, the way to the log of what it answered."""
    before = [each.cpu_seconds() for each in servers]
    done = wrk(server, script, seconds)
    taken = [each.cpu_seconds() - its for each, its in zip(servers, before, strict=True)]
    own = taken[servers.index(server)]
    started, left = server.cpu_seconds(), 0.0
    if server.name == "ours":
        left = server.post("/v1/flush", b'{"log": true}').elapsed.total_seconds()
    return Block(
        done["requests"],
        done["requests"] / done["microseconds"] * 1e6,
        done["p50"] / 1e3,
        done["p99"] / 1e3,
        (own + server.cpu_seconds() - started) / done["requests"] * 1e6,
        left,
        (sum(taken) - own) / seconds,
    )


def write_script(folder: Path, bodies: Sequence[bytes]) -> Path:
    lines = folder / "bodies.txt"
    lines.write_bytes(b"".join(body + b"\n" for body in bodies))
    script = folder / "load.lua"
    script.write_text(LUA % str(lines))
    return script


def wrk(server: Server, script: Path, seconds: int) -> dict[str, int]:
    """Load on one server; ends the benchmark where a single answer is not 2xx."""
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--latency", "-s", str(script), server.url]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    done: dict[str, int] = json.loads(output.splitlines()[-1])
    if done["errors"]:
        sys.exit(f"{server.name} gave {done['errors']} errors:\n{output}")
    return done


def check_answers(ours: Server, peers: Sequence[Server], bodies: Sequence[bytes], *, compare: bool) -> None:
    """Everyone answers; and the same class, or the comparison would be of two models (a canary is one)."""
    path = f"/v2/models/{MODEL}/infer"
    for body in bodies:
        own = ours.post(path, body).json()["outputs"][0]["data"]
        for peer in peers:
            other = [str(label) for label in peer.post(path, body).json()["outputs"][0]["data"]]
            if compare and own != other:
                sys.exit(f"ours answers {own}, {peer.name} {other} to {body!r}")


def metric(server: Server, name: str) -> float:
    """The sum of a metric over its labels."""
    text = server.get("/metrics").text
    return sum(float(line.split()[-1]) for line in text.splitlines() if line.startswith(name))


def show(title: str, names: Sequence[str], blocks: Sequence[Sequence[Block]]) -> None:
    """Every block, medians, and the ratios to the better of the others."""
    table = Table(title=title, title_justify="left")
    for heading in ("block", "requests/s", "P50 ms", "P99 ms", "CPU us/request", "to the log s", "CPU of the idle"):
        table.add_column(heading, justify="right")
    for number, row in enumerate(blocks, 1):
        for name, its in zip(names, row, strict=True):
            table.add_row(f"{number} {name}", *cells(its))
    for name, column in zip(names, zip(*blocks, strict=True), strict=True):
        middle = Block(0, *(median(its[field] for its in column) for field in range(1, len(Block._fields))))
        table.add_row(f"median {name}", *cells(middle), style="bold")
    console.print(table)
    for at, name in enumerate(names[1:], 1):
        for what, ratios in (
            ("requests/s", [row[0].rate / row[at].rate for row in blocks]),
            ("P99", [row[0].p99_ms / row[at].p99_ms for row in blocks]),
        ):
            spread = f"min {min(ratios):.2f}, median {median(ratios):.2f}, max {max(ratios):.2f}"
            console.print(f"{what}, ours / {name}: {spread}")
    console.print(load_average())


def cells(its: Block) -> list[str]:
    return [
        f"{its.rate:,.0f}",
        f"{its.p50_ms:.2f}",
        f"{its.p99_ms:.2f}",
        f"{its.cpu_us:,.0f}",
        f"{its.left_seconds:.2f}",
        f"{its.idle_share:.1%}",
    ]


def prove_complete(stores: Stores, acknowledged: int, in_flight: int) -> None:
    """Every answer that wrk saw, and what it left in flight at the end of a block, is in the log exactly once."""
    report = audit(stores.spool, stores.log)
    console.print(
        f"answers that wrk counted: {acknowledged:,}; answered by the data plane: {report.answered:,}; "
        f"in the log: {report.logged:,}; gaps: {len(report.gaps)}\n"
    )
    if not (report.complete and report.spooled == 0 and acknowledged <= report.answered <= acknowledged + in_flight):
        sys.exit(f"predictions were lost or counted twice: {report}")


@contextmanager
def mlserver(
    name: str, home: Path, own: Mapping[str, object], model_settings: Mapping[str, object], *, named: bool
) -> Iterator[Server]:
    """MLServer in a process of its own; `named` fits its model with names of features, which a matrix does not have."""
    home.mkdir()
    frame, classes = make_data()
    joblib.dump(LogisticRegression().fit(frame if named else frame.to_numpy(), classes), home / "model.joblib")
    port, grpc_port, metrics_port = free_ports(3)
    ports = {"http_port": port, "grpc_port": grpc_port, "metrics_port": metrics_port}
    settings = {"host": "127.0.0.1", **ports, **own}
    (home / "settings.json").write_text(json.dumps(settings))
    runtime = {"implementation": "mlserver_sklearn.SKLearnModel", "parameters": {"uri": "./model.joblib"}}
    (home / "model-settings.json").write_text(json.dumps({"name": MODEL, **runtime, **model_settings}))
    with running([str(environment() / "bin" / "mlserver"), "start", str(home)], home, {}) as process:
        eventually(lambda: is_ready(port))
        yield Server(name, port, process)


def environment() -> Path:
    """MLServer's own environment, with the scikit-learn that wrote the model; made when it is first needed."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    path = cache / "mlops_dagster" / "mlserver"
    installed = path / "installed.json"
    packages = [*PACKAGES, f"scikit-learn=={sklearn.__version__}"]
    if not installed.exists() or json.loads(installed.read_text()) != packages:
        console.print("Installing MLServer into an environment of its own (about a minute, once) ...")
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(path)], check=True)
        pip = [str(path / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, *packages], check=True)
        installed.write_text(json.dumps(packages))
    return path


def free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for its in sockets:
            its.bind(("127.0.0.1", 0))
        return [its.getsockname()[1] for its in sockets]


if __name__ == "__main__":
    main()
