"""The decorator of the fleet's sensors, with the arguments that they share."""

from collections.abc import Callable
from typing import Any, TypeAlias

import dagster as dg

from mlops_dagster.loop.shown.fleet import SENSORS

Decorator: TypeAlias = Callable[[Callable[..., Any]], dg.SensorDefinition]


def sensor(name: str, seconds: int, **more: Any) -> Decorator:
    """Define a sensor that is on from the start and looks every so many seconds, with more arguments of Dagster's."""
    running = dg.DefaultSensorStatus.RUNNING
    return dg.sensor(
        name=name, minimum_interval_seconds=seconds, default_status=running, description=SENSORS[name], **more
    )
