"""Failed retrainings: the retry, and an alert that is open until a retraining succeeds.

A step that raises is tried again within its run. A run whose process is killed (out of memory, for example) is launched
again by Dagster's daemon, from its current step, with the same tags and configuration: see `run_retries` in
`dagster.yaml`.
"""

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from time import sleep

import dagster as dg

from mlops_dagster.alerting import Alert, Rule, Severity
from mlops_dagster.components.compat import JobFailureData, RunFailureReason
from mlops_dagster.components.platform import Platform
from mlops_dagster.components.sensors.training_runs import RETRAINS
from mlops_dagster.errors import told
from mlops_dagster.loop.spec import ModelSpec
from mlops_dagster.registry import Validation
from mlops_dagster.retraining.retries import chain_of, may_pass

RULE = Rule.RETRAINING_FAILED


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
    """Retry a failed step of the retraining: an alert is a warning while retries are left, then critical.

    An error that waiting does not mend is critical at once. The wait doubles with each retry, and ends when the run is
    terminated. After the last retry the run fails; the sensor requests a run again the next day. Dagster keeps the
    place where the error was raised, not its text.
    """
    policy, tried = spec.retraining, context.retry_number
    try:
        yield
    except Exception as error:  # not the end of the run: Dagster raises a BaseException for that
        again = tried < policy.retries and may_pass(error)
        minutes = policy.retry_minutes * 2**tried
        platform.stores().alerts.report(
            spec.model,
            RULE,
            Severity.WARNING if again else Severity.CRITICAL,
            f"{context.asset_key.path[-1]}: {told(error)}",
            done=f"retry {tried + 1} of {policy.retries} in {minutes:g} minutes" if again else "",
            evidence={"run": context.run.run_id, "retries": tried},
        )
        if again:
            sleep(minutes * 60)  # in the step, where Terminate interrupts; Dagster's own wait ignores it
            raise dg.RetryRequested(max_retries=policy.retries) from _without_values(error, spec)
        raise _without_values(error, spec) from None


def _without_values(error: Exception, spec: ModelSpec) -> dg.Failure:
    """Return the error as Dagster may keep and show it for ever: without its text, which may quote a row."""
    trace = [line for each in chain_of(error) for line in traceback.format_tb(each.__traceback__)]
    said = told(error)
    if said != str(error):
        said = f"{said}; its text may quote rows, so it is not kept: `mlops trainer check {spec.trainer}` shows it"
    return dg.Failure(said, {"raised_in": dg.MetadataValue.md(f"```\n{''.join(trace)}```")}, allow_retries=False)


def is_over(platform: Platform, spec: ModelSpec, version: str) -> None:
    """Resolve the alert: a retraining has succeeded."""
    platform.stores().alerts.resolve(spec.model, RULE, f"{version} was trained")


def check_failed(platform: Platform, spec: ModelSpec, run_id: str, found: Validation) -> None:
    """Open the alert for rows that fail their suite, or a suite that cannot be evaluated: no retry would help."""
    what = "fails its suite" if found.failures else "cannot be validated"
    platform.stores().alerts.report(
        spec.model,
        RULE,
        Severity.CRITICAL,
        f"training_set {what}: {'; '.join(found.failures or found.errors)}",
        evidence={"run": run_id},
    )


@dg.run_failure_sensor(
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Opens the alert `retraining_failed` for a retraining run whose process was killed (out of memory, a "
    "machine that went away) or hung, or that failed without telling so itself. The daemon launches one that was "
    "killed again, as often as the model's `retries` say.",
)
def retraining_killed(context: dg.RunFailureSensorContext, platform: Platform) -> None:
    """Report a failed retraining run, unless the run has reported its end itself.

    The run was killed, or it failed outside the steps that report.
    """
    run, failure = context.dagster_run, context.failure_event.event_specific_data
    if RETRAINS not in run.tags:
        return
    model, again = run.tags[RETRAINS], run.tags.get("dagster/will_retry") == "true"
    tried, retries = int(run.tags.get("dagster/retry_number", 0)), run.tags["dagster/max_retries"]
    alerts = platform.stores().alerts
    if any(_tells_the_end(alert, run.run_id) for alert in alerts.list(model, resolved=True)):
        return
    by_itself = isinstance(failure, JobFailureData) and failure.failure_reason is RunFailureReason.STEP_FAILURE
    alerts.report(
        model,
        RULE,
        Severity.WARNING if again else Severity.CRITICAL,
        _what_raised(context) if by_itself else f"the run was ended from outside: {_what_ended_it(context)}",
        done=f"launched again, {tried + 1} of {retries}" if again else "",
        evidence={"run": run.run_id, "retries": tried},
    )
    (latest,) = context.instance.get_runs(dg.RunsFilter(job_name=run.job_name), limit=1)
    if latest.is_success:
        alerts.resolve(model, RULE, f"run {latest.run_id} succeeded")


def _tells_the_end(alert: Alert, run_id: str) -> bool:
    return alert.rule == RULE and alert.severity is Severity.CRITICAL and alert.evidence.get("run") == run_id


def _what_raised(context: dg.RunFailureSensorContext) -> str:
    """Return the step that failed first, and the class of its error."""
    for event in context.get_step_failure_events():
        error = event.step_failure_data.error
        if error is not None:
            return f"{event.step_key}: {(error.cause or error).cls_name}; the run says where"
    return context.failure_event.message or "no error was recorded by Dagster"


def _what_ended_it(context: dg.RunFailureSensorContext) -> str:
    """Return the signal that ended the run, if the code server has noted it."""
    entries = context.instance.all_logs(context.dagster_run.run_id, of_type=dg.DagsterEventType.ENGINE_EVENT)
    noted = [entry.dagster_event.message or "" for entry in entries if entry.dagster_event]
    signals = [message for message in noted if "execution process" in message and "terminated" in message]
    return signals[-1].partition(". ")[0] if signals else context.failure_event.message or "an unknown cause"
