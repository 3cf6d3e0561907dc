"""Failed retrainings: the retry of a step, and the sensor over runs that were killed.

A step that raises is tried again within its run. A run whose process is killed (out of memory, for example) is launched
again by Dagster's daemon, from its current step, with the same tags and configuration: see `run_retries` in
`dagster.yaml`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from time import sleep

import dagster as dg

from mlops_dagster.components.compat import JobFailureData, RunFailureReason
from mlops_dagster.components.platform import Platform
from mlops_dagster.components.sensors.training_runs import RETRAINS
from mlops_dagster.loop.retraining.failures import tell_failed_run, tell_failed_step, tell_success
from mlops_dagster.loop.shown.fleet import SENSORS
from mlops_dagster.loop.spec import ModelSpec


def retraining_tags(spec: ModelSpec) -> dict[str, str]:
    """Return the tags of every retraining run: its model, the retries when it is killed, and its time limit."""
    policy = spec.retraining
    return {
        RETRAINS: spec.model,
        "dagster/max_retries": str(policy.retries),
        # If the code server is gone too, no process reports the end of a run: without this limit it would run for ever,
        # and no retraining starts while one runs.
        "dagster/max_runtime": f"{policy.max_hours * 3600:.0f}",
    }


@contextmanager
def tried_again(context: dg.AssetExecutionContext, platform: Platform, spec: ModelSpec) -> Iterator[None]:
    """Retry a failed step of the retraining, and alert.

    The wait ends when the run is terminated. After the last retry the run fails; the sensor requests a run again the
    next day. Dagster keeps the place where the error was raised, not its text.
    """
    try:
        yield
    except Exception as error:  # not the end of the run: Dagster raises a BaseException for that
        step, run = context.asset_key.path[-1], context.run.run_id
        failed = tell_failed_step(platform.stores(), spec, step, error, run=run, tried=context.retry_number)
        raised_in = dg.MetadataValue.md(f"```\n{failed.raised_in}```")
        without_values = dg.Failure(failed.said, {"raised_in": raised_in}, allow_retries=False)
        if failed.wait is None:
            raise without_values from None
        sleep(failed.wait.total_seconds())  # in the step, where Terminate interrupts; Dagster's own wait ignores it
        raise dg.RetryRequested(max_retries=spec.retraining.retries) from without_values


@dg.run_failure_sensor(
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description=SENSORS["retraining_killed"],
)
def retraining_killed(context: dg.RunFailureSensorContext, platform: Platform) -> None:
    """Report a failed retraining run, unless the run has reported its end itself."""
    run, stores = context.dagster_run, platform.stores()
    model = run.tags.get(RETRAINS)
    if model is None:
        return
    tell_failed_run(
        stores,
        model,
        _reason(context),
        run=run.run_id,
        tried=int(run.tags.get("dagster/retry_number", 0)),
        retries=int(run.tags["dagster/max_retries"]),
        again=run.tags.get("dagster/will_retry") == "true",
    )
    (latest,) = context.instance.get_runs(dg.RunsFilter(job_name=run.job_name), limit=1)
    if latest.is_success:
        tell_success(stores, model, f"run {latest.run_id} succeeded")


def _reason(context: dg.RunFailureSensorContext) -> str:
    """Return the step that failed first and the class of its error, or the signal that ended the run."""
    failure, message = context.failure_event.event_specific_data, context.failure_event.message
    if isinstance(failure, JobFailureData) and failure.failure_reason is RunFailureReason.STEP_FAILURE:
        failures = ((event.step_key, event.step_failure_data.error) for event in context.get_step_failure_events())
        told = (f"{step}: {(error.cause or error).cls_name}; the run says where" for step, error in failures if error)
        return next(told, message or "no error was recorded by Dagster")
    entries = context.instance.all_logs(context.dagster_run.run_id, of_type=dg.DagsterEventType.ENGINE_EVENT)
    noted = [entry.dagster_event.message or "" for entry in entries if entry.dagster_event]
    signals = [each.partition(". ")[0] for each in noted if "execution process" in each and "terminated" in each]
    return f"the run was ended from outside: {signals[-1] if signals else message or 'an unknown cause'}"
