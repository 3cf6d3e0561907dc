"""A retraining that fails: it is tried again, and somebody is told; over when the next one succeeds.

A step that raises is tried again within its run. A run whose process is killed (out of memory, say) is launched again
by Dagster's daemon, from the step that it was at, with the same tags and configuration: see `run_retries` in
`dagster.yaml`.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg
from dagster._core.events import JobFailureData, RunFailureReason  # no public names

from mlops_dagster.alerting import Severity
from mlops_dagster.components.platform import Platform
from mlops_dagster.components.spec import ModelSpec

RULE = "retraining_failed"
RETRAINS = "mlops/retrains"
"""The tag of a retraining run with the name of its model."""


def retraining_tags(spec: ModelSpec) -> dict[str, str]:
    """Of every retraining run: the model, how often it is launched again when killed, and when it has hung."""
    policy = spec.retraining
    return {
        RETRAINS: spec.model,
        "dagster/max_retries": str(policy.retries),
        # Of a run whose code server is gone as well nobody tells the end: without this it would run for ever, and no
        # retraining starts while one runs.
        "dagster/max_runtime": f"{policy.max_hours * 3600:.0f}",
    }


@contextmanager
def tried_again(context: dg.AssetExecutionContext, platform: Platform, spec: ModelSpec) -> Iterator[None]:
    """Around a step of the retraining: a failure is a warning while retries are left, and then critical.

    The wait doubles with each retry. After the last one the run fails; the sensor asks again the next day.
    """
    policy, tried = spec.retraining, context.retry_number
    try:
        yield
    except Exception as error:
        again = tried < policy.retries
        minutes = policy.retry_minutes * 2**tried
        platform.stores().alerts.report(
            spec.model,
            RULE,
            Severity.WARNING if again else Severity.CRITICAL,
            f"{context.asset_key.path[-1]}: {type(error).__name__}: {error}",
            done=f"retry {tried + 1} of {policy.retries} in {minutes:g} minutes" if again else "",
            evidence={"run": context.run.run_id, "retries": tried},
        )
        if again:
            raise dg.RetryRequested(max_retries=policy.retries, seconds_to_wait=minutes * 60) from error
        raise


def is_over(platform: Platform, spec: ModelSpec, version: str) -> None:
    """A retraining has succeeded."""
    platform.stores().alerts.resolve(spec.model, RULE, f"{version} was trained")


def check_failed(platform: Platform, spec: ModelSpec, run_id: str, failures: tuple[str, ...]) -> None:
    """Rows that fail their suite stop the run, and no retry would better them."""
    platform.stores().alerts.report(
        spec.model,
        RULE,
        Severity.CRITICAL,
        f"training_set fails its suite: {'; '.join(failures)}",
        evidence={"run": run_id},
    )


def run_died(context: dg.RunFailureSensorContext, platform: Platform) -> None:
    """Tell of a retraining run that was ended from outside; one that failed by itself has told already."""
    run, failure = context.dagster_run, context.failure_event.event_specific_data
    by_itself = isinstance(failure, JobFailureData) and failure.failure_reason is RunFailureReason.STEP_FAILURE
    if RETRAINS not in run.tags or by_itself:
        return
    model, again = run.tags[RETRAINS], run.tags.get("dagster/will_retry") == "true"
    tried, retries = int(run.tags.get("dagster/retry_number", 0)), run.tags["dagster/max_retries"]
    alerts = platform.stores().alerts
    alerts.report(
        model,
        RULE,
        Severity.WARNING if again else Severity.CRITICAL,
        f"the run was ended from outside: {_what_ended_it(context)}",
        done=f"launched again, {tried + 1} of {retries}" if again else "",
        evidence={"run": run.run_id, "retries": tried},
    )
    (latest,) = context.instance.get_runs(dg.RunsFilter(job_name=run.job_name), limit=1)
    if latest.is_success:
        alerts.resolve(model, RULE, f"run {latest.run_id} succeeded")


def _what_ended_it(context: dg.RunFailureSensorContext) -> str:
    """The signal, where the code server has noted it."""
    entries = context.instance.all_logs(context.dagster_run.run_id, of_type=dg.DagsterEventType.ENGINE_EVENT)
    noted = [entry.dagster_event.message or "" for entry in entries if entry.dagster_event]
    signals = [message for message in noted if "execution process" in message and "terminated" in message]
    return signals[-1].partition(". ")[0] if signals else context.failure_event.message or "nobody knows by what"
