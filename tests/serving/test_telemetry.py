"""What Prometheus is told: by one process, and by several that share a folder."""

import json
import os
import signal
import subprocess
import sys
import timeit
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.parser import text_string_to_metric_families

from mlops_dagster.predictions import FeedbackResult, Hit, LabelDebt, SpoolDepth, Status
from mlops_dagster.serving.deployed.guard import Violation
from mlops_dagster.serving.telemetry import gpu
from mlops_dagster.serving.telemetry.arms import BatchHistogram
from mlops_dagster.serving.telemetry.limits import cpu_limit, memory_limit
from mlops_dagster.serving.telemetry.process import forget
from mlops_dagster.serving.telemetry.shared import SharedMetrics
from mlops_dagster.serving.telemetry.telemetry import Telemetry
from mlops_dagster.tasks import Classification
from tests.support.serving.data_plane import NOW, SCHEMA

ARM = {"model": "m", "version": "1.0.0", "role": "champion"}
Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


TASK = Classification(classes=("late", "on_time"))


def parsed(exposition: str) -> Samples:
    families = text_string_to_metric_families(exposition)
    return {(s.name, frozenset(s.labels.items())): s.value for family in families for s in family.samples}


def value(samples: Samples, name: str, **labels: str) -> float | None:
    return samples.get((f"mlops_{name}", frozenset(labels.items())))


def lint(exposition: bytes) -> str:
    """What Prometheus's own tool has to say against it."""
    found = subprocess.run(["promtool", "check", "metrics"], input=exposition, capture_output=True, check=False)
    return (found.stdout + found.stderr).decode()


@given(st.lists(st.floats(0, 20, allow_subnormal=False) | st.sampled_from([0.5, 1.0]), max_size=40))
def test_many_values_at_once_count_as_one_by_one(seconds: list[float]) -> None:
    registries = CollectorRegistry(), CollectorRegistry()
    together = BatchHistogram("h", "-", buckets=(0.5, 1.0, 2.0), registry=registries[0])
    one_by_one = Histogram("h", "-", buckets=(0.5, 1.0, 2.0), registry=registries[1])
    together.observe_all(seconds)
    for each in seconds:
        one_by_one.observe(each)
    found, expected = (parsed(generate_latest(registry).decode()) for registry in registries)
    of_sum = ("h_sum", frozenset[tuple[str, str]]())
    assert found.pop(of_sum) == pytest.approx(expected.pop(of_sum))
    assert {key: n for key, n in found.items() if key[0] != "h_created"} == {
        key: n for key, n in expected.items() if key[0] != "h_created"
    }


def test_a_batch_is_counted_by_arm_status_error_class_and_size() -> None:
    telemetry = Telemetry()
    telemetry.arm("m", "1.0.0", "champion").answered([0.003, 0.004, 0.3], ["late", "late", "on_time"], ["model_failed"])
    telemetry.arm("m", "1.0.0", "champion").answered([0.003], ["late"])
    telemetry.arm("m", "1.1.0", "none").refused("rejected", [0.001, 0.001], ["invalid_features", "invalid_input"])
    found = parsed(telemetry.exposition().decode())
    assert value(found, "requests_total", **ARM, status="ok") == 3
    assert value(found, "requests_total", **ARM, status="failed") == 1
    assert value(found, "errors_total", **ARM, code="model_failed") == 1
    assert value(found, "outputs_total", **ARM, label="late") == 3
    assert value(found, "outputs_total", **ARM, label="on_time") == 1
    assert value(found, "request_seconds_count", **ARM) == 4
    assert value(found, "request_seconds_sum", **ARM) == pytest.approx(0.31)
    assert value(found, "request_seconds_bucket", **ARM, le="0.005") == 3
    assert value(found, "batch_requests_count", **ARM) == 2
    assert value(found, "batch_requests_sum", **ARM) == 4
    refused = {"model": "m", "version": "1.1.0", "role": "none"}
    assert value(found, "requests_total", **refused, status="rejected") == 2
    assert value(found, "errors_total", **refused, code="invalid_input") == 1


def test_labels_are_counted_by_arm_class_and_hit_and_nobody_invents_a_class() -> None:
    telemetry = Telemetry()
    hits = {
        Hit("m", "1.0.0", "champion", "late", "late"): 2,
        Hit("m", "1.0.0", "champion", "on_time", "late"): 1,
        Hit("m", "1.0.0", "champion", "late", "<script>"): 4,
        Hit("m", "1.0.0", "champion", "on_time", "robert"): 1,
    }
    telemetry.labels.received("m", FeedbackResult(9, 1, ["?"], hits, repeated=2), TASK)
    found = parsed(telemetry.exposition().decode())
    right, wrong = {**ARM, "correct": "true"}, {**ARM, "correct": "false"}
    assert value(found, "labelled_total", **right, label="late", prediction="late") == 2
    assert value(found, "labelled_total", **wrong, label="late", prediction="on_time") == 1
    assert value(found, "labelled_total", **wrong, label="other", prediction="late") == 4
    assert value(found, "labelled_total", **wrong, label="other", prediction="on_time") == 1
    outcomes = ("first", "correction", "repeated", "unknown")
    assert [value(found, "labels_total", model="m", outcome=name) for name in outcomes] == [6, 1, 2, 1]


def test_the_depth_of_the_spool_tells_that_shipping_has_stopped() -> None:
    telemetry = Telemetry()
    telemetry.spool.measured(SpoolDepth(7, NOW - timedelta(minutes=3), bytes=4096, free_bytes=10), NOW)
    found = parsed(telemetry.exposition().decode())
    names = ("entries", "oldest_seconds", "bytes", "free_bytes")
    assert [value(found, f"spool_{name}") for name in names] == [7, 180, 4096, 10]
    telemetry.spool.measured(SpoolDepth(0, None, bytes=4096, free_bytes=10), NOW)
    assert value(parsed(telemetry.exposition().decode()), "spool_oldest_seconds") == 0


def test_label_debt_is_told_by_number_and_age() -> None:
    telemetry = Telemetry()
    telemetry.labels.awaited([("m", LabelDebt(10, 4, NOW - timedelta(hours=2), NOW - timedelta(minutes=1)))], NOW)
    found = parsed(telemetry.exposition().decode())
    assert value(found, "label_debt", model="m") == 4
    ages = [value(found, "label_debt_age_seconds", model="m", of=of) for of in ("oldest", "median")]
    assert ages == [7200, 60]
    telemetry.labels.awaited([("m", LabelDebt(10, 0, None, None))], NOW)
    found = parsed(telemetry.exposition().decode())
    assert value(found, "label_debt", model="m") == 0
    assert value(found, "label_debt_age_seconds", model="m", of="oldest") == 0


def test_every_counter_of_a_model_begins_at_0() -> None:
    telemetry = Telemetry()
    telemetry.begin("m", [("1.0.0", "champion", SCHEMA), ("1.0.0", "paired", SCHEMA), ("1.1.0", "canary", SCHEMA)])
    telemetry.loading("m", "1.1.0")
    telemetry.begin_task("log")
    found = parsed(telemetry.exposition().decode())
    for role, version in (("champion", "1.0.0"), ("paired", "1.0.0"), ("canary", "1.1.0")):
        arm = {"model": "m", "version": version, "role": role}
        assert [value(found, "requests_total", **arm, status=status) for status in get_args(Status)] == [0] * 4
        assert value(found, "errors_total", **arm, code="model_failed") == 0
        assert value(found, "slow_requests_total", **arm) == 0
        assert value(found, "outputs_total", **arm, label="on_time") == 0
        assert value(found, "labelled_total", **arm, label="late", prediction="on_time", correct="false") == 0
    nobody = {"model": "m", "version": "", "role": "none"}
    assert value(found, "requests_total", **nobody, status="held") == 0
    assert [value(found, "errors_total", **nobody, code=code) for code in ("on_hold", "storage")] == [0, 0]
    assert value(found, "shed_total", model="m", version="1.0.0", role="paired") == 0
    assert value(found, "unlike_training_total", model="m", feature="carrier", reason="category") == 0
    assert value(found, "labels_total", model="m", outcome="unmatched") == 0
    for name in ("fuse_trips_total", "version_load_failures_total"):
        assert value(found, name, model="m", version="1.1.0") == 0
    assert value(found, "background_failures_total", task="log") == 0
    assert value(found, "restarts_total", role="worker") == 0
    assert value(found, "connections_dropped_total", reason="full") == 0
    telemetry.arm("m", "1.0.0", "champion").answered([0.003], ["late"])
    telemetry.begin("m", [("1.0.0", "champion", SCHEMA)])
    found = parsed(telemetry.exposition().decode())
    assert value(found, "requests_total", **ARM, status="ok") == 1, "an arm that begins twice keeps its counts"


def test_a_request_is_slow_by_the_policy_and_has_its_phases() -> None:
    telemetry = Telemetry()
    phases = {"preprocess": [0.001, 0.002], "inference": [0.01, 0.01], "postprocess": [0.1, 0.3]}
    telemetry.arm("m", "1.0.0", "champion").answered([0.111, 0.312], ["late"] * 2, slow=1, phases=phases)
    found = parsed(telemetry.exposition().decode())
    assert value(found, "slow_requests_total", **ARM) == 1
    of = {"model": "m", "version": "1.0.0"}
    sums = [value(found, "phase_seconds_sum", **of, phase=phase) for phase in phases]
    assert sums == [pytest.approx(0.003), pytest.approx(0.02), pytest.approx(0.4)]
    assert value(found, "phase_seconds_bucket", **of, phase="postprocess", le="0.1") == 1


def test_limits_are_those_of_the_control_group(tmp_path: Path) -> None:
    cores, memory = cpu_limit(tmp_path), memory_limit(tmp_path)
    assert cores >= 1
    assert memory > 1e8, "without a control group it is the machine's"
    (tmp_path / "cpu.max").write_text("25000 100000\n")
    (tmp_path / "memory.max").write_text("1048576\n")
    assert (cpu_limit(tmp_path), memory_limit(tmp_path)) == (0.25, 1048576)
    (tmp_path / "cpu.max").write_text("max 100000\n")
    (tmp_path / "memory.max").write_text("max\n")
    assert (cpu_limit(tmp_path), memory_limit(tmp_path)) == (cores, memory)
    first = tmp_path / "first"
    for name, content in (
        ("cpu/cpu.cfs_quota_us", "50000"),
        ("cpu/cpu.cfs_period_us", "100000"),
        ("memory/memory.limit_in_bytes", "4096"),
    ):
        (first / name).parent.mkdir(parents=True, exist_ok=True)
        (first / name).write_text(content)
    assert (cpu_limit(first), memory_limit(first)) == (0.5, 4096)
    (first / "cpu/cpu.cfs_quota_us").write_text("-1")
    (first / "memory/memory.limit_in_bytes").write_text("9223372036854771712")
    assert (cpu_limit(first), memory_limit(first)) == (cores, memory)


def nvml() -> SimpleNamespace:
    """Stands in for NVIDIA's library: two GPUs, of which the second tells no utilization, as under MIG."""

    def utilization(device: int) -> object:
        if device == 1:
            raise RuntimeError("not supported")
        return SimpleNamespace(gpu=75, memory=10)

    own, others = SimpleNamespace(pid=os.getpid(), usedGpuMemory=2**20), SimpleNamespace(pid=1, usedGpuMemory=5)
    functions = {
        "GetCount": lambda: 2,
        "GetHandleByIndex": lambda number: number,
        "GetUUID": lambda device: f"GPU-{device}",
        "GetMemoryInfo": lambda device: SimpleNamespace(used=2**30 * (device + 1), total=2**33),
        "GetComputeRunningProcesses": lambda device: [own, others] if device == 0 else [],
        "GetUtilizationRates": utilization,
    }
    named = {f"nvmlDevice{name}": function for name, function in functions.items()}
    return SimpleNamespace(NVMLError=RuntimeError, **named)


def test_gpus_are_told_of_where_there_are_any(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "mlops_gpu_memory_bytes{" not in Telemetry("bare").exposition().decode()
    monkeypatch.setattr(gpu, "_open", nvml)
    found = parsed(Telemetry("worker-1").exposition().decode())
    assert value(found, "gpu_utilization_ratio", gpu="0", uuid="GPU-0") == 0.75
    assert value(found, "gpu_utilization_ratio", gpu="1", uuid="GPU-1") is None
    assert value(found, "gpu_memory_bytes", gpu="1", uuid="GPU-1", kind="used") == 2**31
    assert value(found, "gpu_memory_bytes", gpu="0", uuid="GPU-0", kind="total") == 2**33
    assert value(found, "process_gpu_memory_bytes", process="worker-1", gpu="0") == 2**20


def test_promtool_finds_no_fault_with_any_metric_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu, "_open", nvml)
    telemetry = Telemetry("worker-0")
    telemetry.begin("m", [("1.0.0", "champion", SCHEMA), ("1.1.0", "shadow", SCHEMA)])
    telemetry.loading("m", "1.0.0")
    phases = {"preprocess": [0.001], "inference": [0.001], "postprocess": [0.001]}
    telemetry.arm("m", "1.0.0", "champion").answered([0.003, 0.2], ["late"], ["model_failed"], slow=1, phases=phases)
    telemetry.arm("m", "", "none").refused("rejected", [0.001], ["invalid_features"])
    telemetry.waiting("m", "1.0.0", 3)
    telemetry.queued(4)
    telemetry.shed("m", "1.0.0", "shadow", 5)
    telemetry.labels.received("m", FeedbackResult(1, 0, [], {Hit("m", "1.0.0", "champion", "late", "late"): 1}), TASK)
    telemetry.in_force("m", 2)
    telemetry.unlike_training("m", [Violation("x", "range", 2, 0, 9.0, "0 to 1")])
    telemetry.loaded("m", "1.0.0", ready=False)
    telemetry.tripped("m", "1.0.0")
    telemetry.restarted("worker")
    telemetry.failed("log")
    telemetry.traces_lost(1)
    telemetry.spool.measured(SpoolDepth(7, NOW, bytes=4096, free_bytes=10), NOW)
    telemetry.labels.awaited([("m", LabelDebt(3, 1, NOW, NOW))], NOW)
    telemetry.labels.waiting({"m": 2})
    telemetry.untold(1)
    telemetry.registry_away(3)
    telemetry.spool.held({"predictions/m": 2})
    telemetry.connected(3)
    telemetry.dropped("full")
    exposition = telemetry.exposition()
    described = {line.split()[2] for line in exposition.decode().splitlines() if line.startswith("# HELP")}
    told = {
        name.removesuffix("_bucket").removesuffix("_count").removesuffix("_sum")
        for name, _ in parsed(exposition.decode())
    }
    assert described == told, "each metric has a sample here, or promtool does not look at it"
    assert lint(exposition) == ""
    assert "counter metrics should have" in lint(b"# HELP m_x y\n# TYPE m_x counter\nm_x 1\n"), "it does look"


class Worker:
    """A process of tests/serving/telemetry_worker.py."""

    def __init__(self, folder: Path, name: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.serving.telemetry_worker", name],
            env={**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(folder)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def tell(self, command: str, value: object = 0) -> Samples:
        """Do it, and answer a scrape."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        print(command, value, file=self.process.stdin, flush=True)
        self.text: str = json.loads(self.process.stdout.readline())
        return parsed(self.text)

    def end(self, number: int = signal.SIGKILL) -> None:
        self.process.send_signal(number)
        self.process.communicate()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[str], Worker]]:
    workers: list[Worker] = []

    def start(name: str) -> Worker:
        workers.append(Worker(tmp_path, name))
        return workers[-1]

    yield start
    for worker in workers:
        worker.end()


def test_any_of_several_processes_answers_for_all_and_the_dead_leave_their_counts(
    start: Callable[[str], Worker], tmp_path: Path
) -> None:
    first, second, housekeeper = (start(name) for name in ("worker-0", "worker-1", "housekeeper"))
    for worker, epoch in ((first, 4), (second, 3)):
        worker.tell("load", "1.0.0")
        worker.tell("epoch", epoch)
        worker.tell("queue", 10)
    first.tell("answer", 5)
    second.tell("answer", 7)
    found = housekeeper.tell("look")
    assert value(found, "requests_total", **ARM, status="ok") == 12
    assert value(found, "request_seconds_bucket", **ARM, le="0.005") == 12
    assert value(found, "outputs_total", **ARM, label="late") == 12
    assert value(found, "version_ready", model="m", version="1.0.0") == 2
    assert value(found, "off_path_queue") == 20
    assert value(found, "deployment_epoch", model="m") == 3, "in force is what the slowest worker has"
    for name in ("worker-0", "worker-1", "housekeeper"):
        assert (value(found, "process_resident_memory_bytes", process=name) or 0) > 1e6
        assert (value(found, "process_cpu_seconds_total", process=name) or 0) > 0
    assert lint(housekeeper.text.encode()) == ""

    first.end()
    forget(tmp_path, "worker-0")
    after = second.tell("look")
    assert value(after, "requests_total", **ARM, status="ok") == 12
    assert value(after, "version_ready", model="m", version="1.0.0") == 1
    assert value(after, "off_path_queue") == 10
    assert value(after, "process_resident_memory_bytes", process="worker-0") is None

    files = {file.name for file in tmp_path.iterdir()}
    again = start("worker-0")
    again.tell("answer", 1)
    last = second.tell("look")
    assert value(last, "requests_total", **ARM, status="ok") == 13
    cpu = {"process": "worker-0"}
    assert (value(last, "process_cpu_seconds_total", **cpu) or 0) > (
        value(after, "process_cpu_seconds_total", **cpu) or 0
    )
    new = {file.name for file in tmp_path.iterdir()} - files
    assert all(name.startswith("gauge_live") for name in new), "who starts again leaves no files of its old life"

    shared = SharedMetrics(tmp_path)
    assert parsed(shared.text().decode()) == by_the_library(tmp_path)
    for worker in (second, again):
        worker.tell("fill", 2)
    assert parsed(shared.text().decode()) == by_the_library(tmp_path), "new series, too"
    for worker in (second, again):
        worker.tell("fill", 50)
    lines = [line for line in shared.text().splitlines() if not line.startswith(b"#")]
    assert 20_000 < len(lines) < 100_000
    assert min(timeit.repeat(shared.text, number=1, repeat=5)) < 0.3


def by_the_library(folder: Path) -> Samples:
    """What prometheus_client itself makes of the same files."""
    registry = CollectorRegistry()
    MultiProcessCollector(registry, str(folder))
    return parsed(generate_latest(registry).decode())
