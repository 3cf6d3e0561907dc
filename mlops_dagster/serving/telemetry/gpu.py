"""GPU metrics by NVIDIA's library of management (extra `gpu`); none without a driver."""

import logging
import os
from contextlib import suppress
from typing import Any, Final

from prometheus_client import CollectorRegistry, Gauge

logger = logging.getLogger(__name__)

_GPU: Final = ("gpu", "uuid")


class GpuMetrics:
    """The metrics of the GPUs of this machine, and of the memory that this process has on each.

    Every process measures all GPUs, as any of them may be the last one, so the newest value holds.
    """

    def __init__(self, process: str, registry: CollectorRegistry) -> None:
        self._process = process
        self._utilization = Gauge(
            "mlops_gpu_utilization_ratio",
            "Share of the last sample period in which the GPU worked",
            _GPU,
            registry=registry,
            multiprocess_mode="mostrecent",
        )
        self._memory = Gauge(
            "mlops_gpu_memory_bytes",
            "Memory of the GPU, used and total",
            (*_GPU, "kind"),
            registry=registry,
            multiprocess_mode="mostrecent",
        )
        self._own = Gauge(
            "mlops_process_gpu_memory_bytes",
            "Memory of the GPU that the process uses",
            ("process", "gpu"),
            registry=registry,
            multiprocess_mode="livesum",
        )
        self._library = _open()

    def measure(self) -> None:
        """Bring the metrics up to date; a GPU that does not tell a number (as under MIG) leaves it out."""
        nvml = self._library
        if nvml is None:
            return
        for number in range(nvml.nvmlDeviceGetCount()):
            with suppress(nvml.NVMLError):
                self._measure(nvml, number)

    def _measure(self, nvml: Any, number: int) -> None:
        device, gpu = nvml.nvmlDeviceGetHandleByIndex(number), str(number)
        uuid = str(nvml.nvmlDeviceGetUUID(device))
        memory = nvml.nvmlDeviceGetMemoryInfo(device)
        self._memory.labels(gpu, uuid, "used").set(memory.used)
        self._memory.labels(gpu, uuid, "total").set(memory.total)
        its = [each for each in nvml.nvmlDeviceGetComputeRunningProcesses(device) if each.pid == os.getpid()]
        self._own.labels(self._process, gpu).set(sum(each.usedGpuMemory or 0 for each in its))
        utilization = nvml.nvmlDeviceGetUtilizationRates(device).gpu / 100  # first: a GPU that tells none has no sample
        self._utilization.labels(gpu, uuid).set(utilization)


def _open() -> Any | None:
    """Return NVIDIA's library; None where the extra is not installed, or the machine has no driver."""
    try:
        import pynvml
    except ImportError:
        return None
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        logger.info("no metrics of GPUs: %s", error)
        return None
    return pynvml
