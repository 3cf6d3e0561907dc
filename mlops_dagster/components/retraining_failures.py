"""A retraining that fails: it is tried again, and somebody is told; over when the next one succeeds."""

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from mlops_dagster.alerting import Severity
from mlops_dagster.components.platform import Platform
from mlops_dagster.components.spec import ModelSpec

RULE = "retraining_failed"


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
