"""The name of a process among those that share a folder of metrics, and its memory, CPU time and limits."""

import os
import platform
import resource
import threading
import time
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, mmap_dict, values
from prometheus_client.multiprocess import mark_process_dead

from mlops_dagster import __version__
from mlops_dagster.serving.telemetry.gpu import GpuMetrics
from mlops_dagster.serving.telemetry.limits import cpu_limit, memory_limit

_STATM = Path("/proc/self/statm")
_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
_FILE_BYTES = 1 << 22
"""The size of a new file of metrics, some 30,000 series: one that cannot grow on a full disk breaks every request."""


def process_name(name: str | None) -> str:
    """Return `name`, or the pid if there is none."""
    return name or str(os.getpid())


def share_files(process: str) -> Path | None:
    """Name the files of metrics after `process`; return their folder, None if processes share no metrics.

    Call it before metrics are made. prometheus_client names the files by pid, which adds three files with each process
    that dies and is started again, and every scrape reads them all.
    """
    if not values.ValueClass._multiprocess:
        return None
    mmap_dict._INITIAL_MMAP_SIZE = _FILE_BYTES
    values.ValueClass = values.MultiProcessValue(lambda: process)  # type: ignore[no-untyped-call]  # it has no annotations
    return Path(os.environ[_FOLDER])


def forget(folder: Path, process: str) -> None:
    """Remove the gauges of a process that has ended; its counters stay. `folder` is PROMETHEUS_MULTIPROC_DIR."""
    mark_process_dead(process, str(folder))  # type: ignore[no-untyped-call]  # it has no annotations


class ProcessMetrics:
    """Memory, CPU time and limits of one process; prometheus_client's own collector knows the scraped one only."""

    def __init__(self, process: str, registry: CollectorRegistry) -> None:
        self._memory = Gauge(
            "mlops_process_resident_memory_bytes",
            "Resident memory of the process",
            ("process",),
            registry=registry,
            multiprocess_mode="livesum",
        ).labels(process)
        self._cpu = Counter(
            "mlops_process_cpu_seconds", "CPU time, user and system", ("process",), registry=registry
        ).labels(process)
        build = ("version", "python")
        Gauge(
            "mlops_build_info",
            "1, with the version of mlops_dagster and of Python",
            build,
            registry=registry,
            multiprocess_mode="livemax",
        ).labels(__version__, platform.python_version()).set(1)
        Gauge(
            "mlops_start_time_seconds",
            "Start of the process, in seconds since 1970",
            ("process",),
            registry=registry,
            multiprocess_mode="livemax",
        ).labels(process).set(time.time())
        Gauge(
            "mlops_cpu_limit_cores",
            "Cores that the data plane may use, by its control group or the machine",
            registry=registry,
            multiprocess_mode="livemax",
        ).set(cpu_limit())
        Gauge(
            "mlops_memory_limit_bytes",
            "Memory that the data plane may use, by its control group or the machine",
            registry=registry,
            multiprocess_mode="livemax",
        ).set(memory_limit())
        self._gpus = GpuMetrics(process, registry)
        self._counted = 0.0
        self._measuring = threading.Lock()

    def measure(self) -> None:
        """Bring memory, CPU time and the numbers of GPUs up to date."""
        with self._measuring:
            usage = resource.getrusage(resource.RUSAGE_SELF)
            spent = usage.ru_utime + usage.ru_stime
            self._cpu.inc(spent - self._counted)
            self._counted = spent
        if _STATM.exists():  # Linux only; elsewhere only the peak can be had, which is another number
            self._memory.set(int(_STATM.read_text().split()[1]) * resource.getpagesize())
        self._gpus.measure()
