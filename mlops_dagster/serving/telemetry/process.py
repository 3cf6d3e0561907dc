"""A process among those that share their metrics: its name there, its memory, its CPU."""

import os
import resource
import threading
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, values
from prometheus_client.multiprocess import mark_process_dead

_STATM = Path("/proc/self/statm")


def process_name(name: str | None) -> str:
    """`name`, or the pid for want of one."""
    return name or str(os.getpid())


def share_files(process: str) -> bool:
    """Write metrics to files that bear the name `process`; false if the process keeps them to itself.

    To be called before metrics are made. prometheus_client names the files by pid, which makes three more files with
    each process that dies and is started again, and every scrape reads them all.
    """
    if not values.ValueClass._multiprocess:
        return False
    values.ValueClass = values.MultiProcessValue(lambda: process)  # type: ignore[no-untyped-call]  # it has no annotations
    return True


def forget(folder: Path, process: str) -> None:
    """Take away the gauges of a process that has ended; its counters stay. `folder` is PROMETHEUS_MULTIPROC_DIR."""
    mark_process_dead(process, str(folder))  # type: ignore[no-untyped-call]  # it has no annotations


class ProcessMetrics:
    """prometheus_client's own collector of these knows but the process that is scraped."""

    def __init__(self, process: str, registry: CollectorRegistry) -> None:
        self._memory = Gauge(
            "mlops_process_resident_memory_bytes",
            "Memory that the process has in use",
            ("process",),
            registry=registry,
            multiprocess_mode="livesum",
        ).labels(process)
        self._cpu = Counter(
            "mlops_process_cpu_seconds", "CPU time, user and system", ("process",), registry=registry
        ).labels(process)
        self._counted = 0.0
        self._measuring = threading.Lock()

    def measure(self) -> None:
        """Bring both up to date."""
        with self._measuring:
            usage = resource.getrusage(resource.RUSAGE_SELF)
            spent = usage.ru_utime + usage.ru_stime
            self._cpu.inc(spent - self._counted)
            self._counted = spent
        if _STATM.exists():  # Linux only; elsewhere the peak is all that can be had, and it is another number
            self._memory.set(int(_STATM.read_text().split()[1]) * resource.getpagesize())
