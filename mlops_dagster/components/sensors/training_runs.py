"""The retraining runs that Dagster knows of, by model."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final

import dagster as dg

from mlops_dagster.clock import in_utc, parse_time
from mlops_dagster.components.compat import NOT_FINISHED_STATUSES
from mlops_dagster.components.keys import key_of
from mlops_dagster.links.dagster import prefix_of
from mlops_dagster.loop.retraining.consider import TrainingRuns
from mlops_dagster.loop.retraining.failed_runs import FailedRun, failed_at
from mlops_dagster.loop.spec import ModelSpec

RETRAINS: Final = "mlops/retrains"
"""The tag of a retraining run with the name of its model."""

_ROOT: Final = "dagster/root_run_id"

_UNFINISHED: Final = dg.RunsFilter(statuses=NOT_FINISHED_STATUSES)

_FAILED_RUNS: Final = 1000
"""The number of newest failed runs that are looked at: more than the budgets of a fleet allow, unless most fail."""


def retrain_job(spec: ModelSpec) -> str:
    """Return the name of the job that retrains a model."""
    return f"{spec.prefix}_retrain"


def training_runs(instance: dg.DagsterInstance, specs: Sequence[ModelSpec]) -> dict[str, TrainingRuns]:
    """Return the retraining runs of each model that Dagster knows of, in three queries for all models.

    A model is retrained now by its job or, from the asset graph, by a run without a name.
    """
    unfinished, failed = instance.get_runs(_UNFINISHED), _failed_at(instance, specs)
    jobs = {run.job_name for run in unfinished}
    made = {key for run in unfinished for key in run.asset_selection or ()}
    running = {spec.model for spec in specs if retrain_job(spec) in jobs or key_of(spec, "registered_version") in made}
    return {spec.model: TrainingRuns(failed.get(spec.model, ()), spec.model in running) for spec in specs}


def unfinished_trainings(instance: dg.DagsterInstance) -> int:
    """Return how many retrainings of any model, of this code location or another, run or are queued."""
    return sum(RETRAINS in run.tags for run in instance.get_runs(_UNFINISHED))


def _failed_at(instance: dg.DagsterInstance, specs: Iterable[ModelSpec]) -> Mapping[str, Sequence[datetime]]:
    """Return the times of failed retrainings; a run that was launched again and then succeeded is not one."""
    wanted = dg.RunsFilter(tags={RETRAINS: [spec.model for spec in specs]}, statuses=[dg.DagsterRunStatus.FAILURE])
    failed = [_failed_run(each) for each in instance.get_run_records(wanted, limit=_FAILED_RUNS)]  # the newest first
    if not failed:
        return {}
    roots = list({run.root for run in failed})
    made_good = dg.RunsFilter(tags={_ROOT: roots}, statuses=[dg.DagsterRunStatus.SUCCESS])
    return failed_at(failed, {run.root_run_id for run in instance.get_runs(made_good)})


def _failed_run(record: dg.RunRecord) -> FailedRun:
    """Return a failed run, as of the time that its configuration names, or else that of its launch."""
    run, as_of = record.dagster_run, in_utc(record.create_timestamp)
    model = run.tags[RETRAINS]
    match run.run_config:
        case {"ops": {**ops}}:
            match ops.get(f"{prefix_of(model)}__training_set"):
                case {"config": {"as_of": str(named)}} if named:
                    as_of = parse_time(named)
    return FailedRun(model, run.root_run_id or run.run_id, as_of)
