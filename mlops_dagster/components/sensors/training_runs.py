"""The retraining runs that Dagster knows of, by model."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final

import dagster as dg

from mlops_dagster.clock import in_utc, parse_time
from mlops_dagster.components.compat import NOT_FINISHED_STATUSES
from mlops_dagster.components.keys import key_of
from mlops_dagster.loop.retraining.consider import TrainingRuns
from mlops_dagster.loop.spec import ModelSpec

RETRAINS: Final = "mlops/retrains"
"""The tag of a retraining run with the name of its model."""

_ROOT: Final = "dagster/root_run_id"

_FAILED_RUNS: Final = 1000
"""The number of newest failed runs that are looked at: more than the budgets of a fleet allow, unless most fail."""


def retrain_job(spec: ModelSpec) -> str:
    """Return the name of the job that retrains a model."""
    return f"{spec.prefix}_retrain"


def training_runs(instance: dg.DagsterInstance, specs: Sequence[ModelSpec]) -> dict[str, TrainingRuns]:
    """Return the retraining runs of each model that Dagster knows of, in three queries for all models."""
    running, failed = _running(instance, specs), _failed_at(instance, specs)
    return {spec.model: TrainingRuns(failed.get(spec.model, ()), spec.model in running) for spec in specs}


def unfinished_trainings(instance: dg.DagsterInstance) -> int:
    """Return how many retrainings of any model, of this code location or another, run or are queued."""
    unfinished = instance.get_runs(dg.RunsFilter(statuses=NOT_FINISHED_STATUSES))
    return sum(RETRAINS in run.tags for run in unfinished)


def _running(instance: dg.DagsterInstance, specs: Iterable[ModelSpec]) -> set[str]:
    """Return the models that are retrained now: by their job or, from the asset graph, in a run without a name."""
    unfinished = instance.get_runs(dg.RunsFilter(statuses=NOT_FINISHED_STATUSES))
    jobs = {run.job_name for run in unfinished}
    made = {key for run in unfinished for key in run.asset_selection or ()}
    return {spec.model for spec in specs if retrain_job(spec) in jobs or key_of(spec, "registered_version") in made}


def _failed_at(instance: dg.DagsterInstance, specs: Iterable[ModelSpec]) -> Mapping[str, Sequence[datetime]]:
    """Return the times of failed retrainings; a run that was launched again and then succeeded is not one."""
    models = {spec.model: spec for spec in specs}
    failed = dg.RunsFilter(tags={RETRAINS: list(models)}, statuses=[dg.DagsterRunStatus.FAILURE])
    first_of_root: dict[str, dg.RunRecord] = {}
    for record in instance.get_run_records(failed, limit=_FAILED_RUNS):  # the newest first
        run = record.dagster_run
        first_of_root[run.root_run_id or run.run_id] = record
    if not first_of_root:
        return {}
    made_good = dg.RunsFilter(tags={_ROOT: list(first_of_root)}, statuses=[dg.DagsterRunStatus.SUCCESS])
    for run in instance.get_runs(made_good):
        first_of_root.pop(run.root_run_id or "", None)
    found: dict[str, list[datetime]] = {}
    for record in first_of_root.values():
        model = record.dagster_run.tags[RETRAINS]
        found.setdefault(model, []).append(_asked_at(record, models[model]))
    return found


def _asked_at(record: dg.RunRecord, spec: ModelSpec) -> datetime:
    """Return the time as of which the run trained: that of its configuration, or else the time of its launch."""
    match record.dagster_run.run_config:
        case {"ops": {**ops}}:
            match ops.get(f"{spec.prefix}__training_set"):
                case {"config": {"as_of": str(as_of)}} if as_of:
                    return parse_time(as_of)
    return in_utc(record.create_timestamp)
