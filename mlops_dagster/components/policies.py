"""Publication of a model's policies to the registry, by each tick or run of its code location that acts on them."""

from typing import Protocol

import dagster as dg

from mlops_dagster.loop.spec import ModelSpec
from mlops_dagster.stores import Stores


class RunContext(Protocol):
    """The context of an op, an asset or a check."""

    @property
    def run(self) -> dg.DagsterRun: ...


def publish_policies(stores: Stores, spec: ModelSpec, context: dg.SensorEvaluationContext | RunContext) -> None:
    """Publish the policies of the model's YAML, as those of the code location that runs; no-op if they are in force.

    Raises PolicyConflictError if another code location has published different ones.
    """
    stores.registry.publish_policies(spec.model, spec.policies(), location=location_of(context))


def location_of(context: dg.SensorEvaluationContext | RunContext) -> str | None:
    """Return the name of the code location; None for a run in process, such as `dagster asset materialize`."""
    if isinstance(context, dg.SensorEvaluationContext):
        origin = context.code_location_origin
        return None if origin is None else origin.location_name
    job = context.run.remote_job_origin
    return None if job is None else job.location_name
