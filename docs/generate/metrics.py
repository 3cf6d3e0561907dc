"""The reference of the Prometheus metrics, from the metrics that a data-plane process makes."""

from collections.abc import Iterable, Mapping
from typing import Final

from prometheus_client import Counter, Gauge, Histogram
from prometheus_client.metrics import MetricWrapperBase

from docs.generate.markdown import code, table
from mlops_dagster.serving.telemetry.fleet import GAUGES
from mlops_dagster.serving.telemetry.telemetry import Telemetry

_KINDS: Final[Mapping[type[MetricWrapperBase], str]] = {Counter: "counter", Gauge: "gauge", Histogram: "histogram"}


def page() -> str:
    """Return the table of metrics with kind, labels and meaning."""
    registry = Telemetry("docs")._registry
    collectors: Iterable[object] = dict.fromkeys(registry._names_to_collectors.values())
    found = [each for each in collectors if isinstance(each, MetricWrapperBase)]
    of_fleet = [
        (code(f"mlops_{name}"), "gauge", ", ".join(map(code, labels)), documentation)
        for name, (documentation, labels) in GAUGES.items()
    ]
    of_processes = [(code(_name(each)), _kind(each), _labels(each), each._documentation) for each in found]
    rows = sorted([*of_processes, *of_fleet])
    return table(("metric", "kind", "labels", "meaning"), rows)


def _kind(metric: MetricWrapperBase) -> str:
    return next(name for kind, name in _KINDS.items() if isinstance(metric, kind))


def _name(metric: MetricWrapperBase) -> str:
    return f"{metric._name}_total" if isinstance(metric, Counter) else metric._name


def _labels(metric: MetricWrapperBase) -> str:
    return ", ".join(code(each) for each in metric._labelnames)
