"""The resource through which assets, jobs and sensors reach the stores."""

from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import dagster as dg

from mlops_dagster.clock import Clock, ReplayedClock, SystemClock, parse_time
from mlops_dagster.components.spec import ModelSpec
from mlops_dagster.errors import InvalidInputError, ModelNotFoundError
from mlops_dagster.settings import Settings
from mlops_dagster.wiring import House

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client


class GivesS3(Protocol):
    """As `dagster_aws.s3.S3Resource` does, which takes seconds to import."""

    def get_client(self) -> "S3Client": ...


class Platform(dg.ConfigurableResource):  # type: ignore[type-arg]  # generic only for resources that yield another object
    """Opens the house in `home`; without one, in `MLOPS_HOME`.

    `s3` is the resource to reach artifacts on S3 through; without one, boto3 finds its own configuration.
    """

    home: str = ""
    s3: dg.ResourceDependency[GivesS3 | None] = None  # type: ignore[assignment]  # how Dagster says: none is fine

    def clock(self) -> Clock:
        """What the time is for a sensor."""
        return SystemClock()

    def stores(self, as_of: datetime | None = None) -> House:
        """The stores, at the time `as_of` or, without one, now."""
        settings = Settings(home=Path(self.home)) if self.home else Settings()
        clock = ReplayedClock(as_of) if as_of else self.clock()
        return House(settings, clock, actor="dagster", s3=None if self.s3 is None else self.s3.get_client())

    def house(self, spec: ModelSpec, as_of: datetime | None = None) -> House:
        """The stores, where the registry knows this model's gates and guard as its YAML has them now."""
        house = self.stores(as_of)
        with suppress(ModelNotFoundError):  # it learns them when there is a version to hold against them
            house.registry.set_gates(spec.model, spec.gates, reason="as its YAML says")
            house.registry.set_guard(spec.model, spec.validation.guard_policy, reason="as its YAML says")
        return house


class AsOf(dg.Config):
    """Run configuration of whatever acts at a time."""

    as_of: str = ""

    def time(self, platform: Platform) -> datetime:
        """The time to act at: `as_of`, or now. Raises InvalidInputError for one that is no time with a zone."""
        if not self.as_of:
            return platform.clock().now()
        try:
            return parse_time(self.as_of)
        except ValueError as error:
            raise InvalidInputError(f"as_of is {self.as_of!r}: {error}") from error
