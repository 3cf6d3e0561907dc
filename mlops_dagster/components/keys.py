"""Keys of a model's assets in Dagster, the arguments that its assets share, and the reports that they make."""

from collections.abc import Mapping
from typing import Any, Final

import dagster as dg

from mlops_dagster.components.partitions import CADENCE, MODEL, STAGE, Cadence, due_every
from mlops_dagster.loop.findings import DRIFT, LABELS, PERFORMANCE, VALIDATION
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


def header(spec: ModelSpec, asset: str, stage: str) -> dict[str, Any]:
    """Return the arguments that all assets of a model share: key, group, owners, and the stage of the model's life."""
    owners = list(spec.owners)
    return {"key": key_of(spec, asset), "group_name": spec.prefix, "owners": owners, "tags": {STAGE: stage}}


def report_header(spec: ModelSpec, asset: str, stage: str, cadence: Cadence) -> dict[str, Any]:
    """Return the arguments that all assets share which are reports of hours, days or weeks."""
    common = header(spec, asset, stage)
    return {
        **common,
        "tags": {**common["tags"], CADENCE: cadence.job},
        "metadata": {MODEL: spec.model},
        "partitions_def": cadence.partitions(),
        "freshness_policy": due_every(cadence.every),
        "backfill_policy": dg.BackfillPolicy.single_run(),
    }
