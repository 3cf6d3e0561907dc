"""Keys of a model's assets in Dagster, and the reports that the assets make."""

from collections.abc import Mapping
from typing import Any, Final

import dagster as dg

from mlops_dagster.loop.judging.findings import DRIFT, LABELS, PERFORMANCE, VALIDATION
from mlops_dagster.loop.spec import ModelSpec
from mlops_dagster.reports import ReportKind

REPORTS: Final[Mapping[str, ReportKind[Any]]] = {
    "prediction_batch": VALIDATION,
    "drift_report": DRIFT,
    "performance_report": PERFORMANCE,
    "label_drift": LABELS,
}
"""The kind of report that each of a model's monitoring assets makes for a partition."""


def key_of(spec: ModelSpec, asset: str) -> dg.AssetKey:
    """Return the key of one of a model's assets.

    Dagster shows it as model/asset, with the model's name as Dagster allows it.
    """
    return dg.AssetKey([spec.prefix, asset])
