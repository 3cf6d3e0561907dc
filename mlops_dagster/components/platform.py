"""The resource through which assets, jobs and sensors reach the stores, and publish their model's policies."""

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeAlias

import dagster as dg
from pydantic import PrivateAttr

from mlops_dagster.clock import Clock, SystemClock
from mlops_dagster.loop.as_of import time_of
from mlops_dagster.loop.spec import ModelSpec
from mlops_dagster.settings import Settings
from mlops_dagster.stores import Stores

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client


class GivesS3(Protocol):
    """A resource that gives an S3 client, such as `dagster_aws.s3.S3Resource`, which takes seconds to import."""

    def get_client(self) -> "S3Client": ...


class Platform(dg.ConfigurableResource):  # type: ignore[type-arg]  # generic only for resources that yield another object
    """The resource that opens the stores of `home`, by default of `MLOPS_HOME`.

    `s3` is the resource through which artifacts on S3 are reached; without one, boto3 finds its configuration itself.
    """

    home: str = ""
    s3: dg.ResourceDependency[GivesS3 | None] = None  # type: ignore[assignment]  # Dagster's way to make it optional

    _stores: Stores | None = PrivateAttr(default=None)

    def clock(self) -> Clock:
        """Return the clock of sensors and runs, which dates all their changes."""
        return SystemClock()

    def stores(self) -> Stores:
        """Return the stores, on the platform's clock; they are opened once for all steps of a run, or for a tick."""
        if self._stores is None:
            settings, s3 = Settings(home=Path(self.home)) if self.home else Settings(), self.s3
            self._stores = Stores(settings, self.clock(), actor="dagster", s3=None if s3 is None else s3.get_client())
        return self._stores


class AsOf(dg.Config):
    """Run configuration that looks at the data as of a time; changes that the run makes are dated now."""

    as_of: str = ""

    def time(self, platform: Platform) -> datetime:
        """Return the time to look at: `as_of`, or now; raises InvalidInputError for an unusable time."""
        return time_of(self.as_of, platform.clock().now())


RunContext: TypeAlias = dg.OpExecutionContext | dg.AssetExecutionContext


def publish_policies(stores: Stores, spec: ModelSpec, context: dg.SensorEvaluationContext | RunContext) -> None:
    """Publish the policies of the model's YAML, as those of the code location that runs; no-op if they are in force.

    Raises PolicyConflictError if another code location has published different ones.
    """
    stores.registry.publish_policies(spec.model, spec.policies(), location=location_of(context))


def location_of(context: dg.SensorEvaluationContext | RunContext) -> str | None:
    """Return the name of the code location; None for a run in process, such as `dagster asset materialize`."""
    if isinstance(context, dg.SensorEvaluationContext):
        location = context.code_location_origin
        return None if location is None else location.location_name
    job = context.run.remote_job_origin
    return None if job is None else job.location_name
