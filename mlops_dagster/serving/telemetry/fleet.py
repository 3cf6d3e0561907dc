"""Gauges of what the stores know of all models: stages, canaries, evidence, drift, quality, beats.

The housekeeper writes them as one text, which `/metrics` of any worker appends to the metrics of the processes. A file
of gauges as the workers have would keep the series of a rollout or version for ever after its end.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily

NAME: Final = "fleet.prom"

GAUGES: Final[Mapping[str, tuple[str, tuple[str, ...]]]] = {
    "version_info": ("1 for each version that is not deprecated, by its stage", ("model", "version", "stage")),
    "canary_weight": ("Share of the traffic that the registry gives the canary; 0 without one", ("model",)),
    "rollout_e_value": ("Evidence of each test of the running rollout", ("model", "version", "test")),
    "rollout_limit": ("E-value at which a test of the running rollout is proven", ("model", "version", "test")),
    "drift_psi": ("PSI of a feature against the baseline, by the last drift report", ("model", "feature")),
    "drift_noise": ("PSI of a feature that chance alone may reach", ("model", "feature")),
    "drift_ks": ("Distance D of the scores from those of the evaluation, by the last drift report", ("model",)),
    "accuracy": (
        "Share of right answers among those of the last 24 hours whose label is known, with its 95 % interval",
        ("model", "version", "bound"),
    ),
    "headline": (
        "Headline measure of the model's task, of the answers of the last 24 hours whose label is known",
        ("model", "version", "measure"),
    ),
    "alert": (
        "Open alerts by state (firing, acknowledged, muted); of the platform with the model *",
        ("model", "rule", "severity", "state"),
    ),
    "outbox_waiting": ("Messages about alerts that wait for a channel", ("channel",)),
    "outbox_oldest_seconds": ("Age of the oldest message that waits for a channel; 0 if none does", ("channel",)),
    "beat_time_seconds": ("Last success of recurring work, in seconds since 1970", ("name", "model")),
    "beat_every_seconds": ("Time within which the next success of recurring work is due", ("name", "model")),
}
"""Documentation and labels of each gauge, by its name without `mlops_`."""


class FleetGauges:
    """The gauges of one round."""

    def __init__(self) -> None:
        self._families = {
            name: GaugeMetricFamily(f"mlops_{name}", documentation, labels=labels)
            for name, (documentation, labels) in GAUGES.items()
        }

    def add(self, gauge: str, value: float, *labels: str) -> None:
        """Add a sample; `labels` are the values of the gauge's labels, in their order."""
        self._families[gauge].add_metric(labels, value)

    def text(self) -> bytes:
        """Return the gauges that have samples as text for Prometheus."""
        registry = CollectorRegistry()
        registry.register(self)
        return generate_latest(registry)

    def collect(self) -> list[GaugeMetricFamily]:
        """Return the gauges that have samples, as a registry of prometheus_client wants them."""
        return [family for family in self._families.values() if family.samples]


def write(folder: Path, text: bytes) -> None:
    """Replace the text that `/metrics` appends; a reader sees the old one or the new one, never a part."""
    unfinished = folder / f"{NAME}.tmp"
    unfinished.write_bytes(text)
    unfinished.replace(folder / NAME)


def read(folder: Path) -> bytes:
    """Return the text that was written last; empty if there is none."""
    try:
        return (folder / NAME).read_bytes()
    except FileNotFoundError:
        return b""
