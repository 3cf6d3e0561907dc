"""The resource through which assets, jobs and sensors reach the stores."""

from datetime import datetime
from pathlib import Path

import dagster as dg

from mlops_dagster.clock import Clock, ReplayedClock, SystemClock, parse_time
from mlops_dagster.components.spec import ModelSpec
from mlops_dagster.settings import Settings
from mlops_dagster.wiring import House


class Platform(dg.ConfigurableResource):  # type: ignore[type-arg]  # generic only for resources that yield another object
    """Opens the house in `home`; without one, in `MLOPS_HOME`."""

    home: str = ""

    def clock(self) -> Clock:
        """What the time is for a sensor."""
        return SystemClock()

    def house(self, spec: ModelSpec | None = None, as_of: datetime | None = None) -> House:
        """The stores, with the gates of this model, at the time `as_of` or, without one, now."""
        settings = Settings(home=Path(self.home)) if self.home else Settings()
        clock = ReplayedClock(as_of) if as_of else self.clock()
        return House(settings, clock, actor="dagster", gates={} if spec is None else {spec.model: spec.gates})


class AsOf(dg.Config):
    """Run configuration of whatever acts at a time."""

    as_of: str = ""

    def time(self, platform: Platform) -> datetime:
        """The time to act at: `as_of`, or now."""
        return parse_time(self.as_of) if self.as_of else platform.clock().now()
