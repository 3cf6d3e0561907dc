"""Failed retrainings: whether a step is tried again, and an alert that is open until a retraining succeeds."""

import traceback
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from mlops_dagster.alerting import Rule, Severity
from mlops_dagster.errors import told
from mlops_dagster.loop.spec import ModelSpec
from mlops_dagster.registry import Validation
from mlops_dagster.retraining.retries import chain_of, may_pass
from mlops_dagster.stores import Stores

RULE: Final = Rule.RETRAINING_FAILED


@dataclass(frozen=True, slots=True)
class FailedStep:
    """The error of a step, as it may be kept and shown for ever: without its text, which may quote a row."""

    said: str
    raised_in: str
    """The places in the code through which the error came."""
    wait: timedelta | None
    """The time to wait before the step is tried again; None if it is not."""


def tell_failed_step(
    stores: Stores, spec: ModelSpec, step: str, error: Exception, *, run: str, tried: int
) -> FailedStep:
    """Open the alert for a failed step of a retraining: a warning while retries are left, then critical.

    An error that waiting does not mend is critical at once. The wait doubles with each retry.

    Args:
        stores: the stores.
        spec: the model.
        step: the name of the step.
        error: the error.
        run: the id of the run.
        tried: the number of times that the step was tried again already.
    """
    policy = spec.retraining
    again = tried < policy.retries and may_pass(error)
    minutes = policy.retry_minutes * 2**tried
    stores.alerts.report(
        spec.model,
        RULE,
        Severity.WARNING if again else Severity.CRITICAL,
        f"{step}: {told(error)}",
        done=f"retry {tried + 1} of {policy.retries} in {minutes:g} minutes" if again else "",
        evidence={"run": run, "retries": tried},
    )
    said = told(error)
    if said != str(error):
        said = f"{said}; its text may quote rows, so it is not kept: `mlops trainer check {spec.trainer}` shows it"
    trace = [line for each in chain_of(error) for line in traceback.format_tb(each.__traceback__)]
    return FailedStep(said, "".join(trace), timedelta(minutes=minutes) if again else None)


def tell_failed_suite(stores: Stores, spec: ModelSpec, found: Validation, *, run: str) -> None:
    """Open the alert for rows that fail their suite, or a suite that cannot be evaluated: no retry would help."""
    what = "fails its suite" if found.failures else "cannot be validated"
    summary = f"training_set {what}: {'; '.join(found.failures or found.errors)}"
    stores.alerts.report(spec.model, RULE, Severity.CRITICAL, summary, evidence={"run": run})


def tell_failed_run(
    stores: Stores, model: str, reason: str, *, run: str, tried: int, retries: int, again: bool
) -> None:
    """Open the alert for a run that has failed, unless the run has told its end itself.

    The run is launched `again` after it was `tried` again that many times, or not.
    """
    for alert in stores.alerts.list(model, resolved=True):
        if alert.rule == RULE and alert.severity is Severity.CRITICAL and alert.evidence.get("run") == run:
            return
    stores.alerts.report(
        model,
        RULE,
        Severity.WARNING if again else Severity.CRITICAL,
        reason,
        done=f"launched again, {tried + 1} of {retries}" if again else "",
        evidence={"run": run, "retries": tried},
    )


def tell_success(stores: Stores, model: str, reason: str) -> None:
    """Resolve the alert: a retraining has succeeded."""
    stores.alerts.resolve(model, RULE, reason)
