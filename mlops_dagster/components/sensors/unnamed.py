"""The sensor for models that no definition names (any more): their YAML was removed, or cannot be used."""

from collections.abc import Sequence

import dagster as dg

from mlops_dagster.clock import SystemClock
from mlops_dagster.components.compat import InstigatorType, SensorInstigatorData
from mlops_dagster.components.platform import Platform, location_of
from mlops_dagster.components.sensors.own import sensor
from mlops_dagster.components.sensors.serving_versions import ROLLOUTS
from mlops_dagster.loop.spec import ModelSpec
from mlops_dagster.loop.unnamed import look_after_unnamed

ALIVE_SECONDS = 600
"""For this long after the last tick of its sensor `rollouts`, a code location is taken to look after its models."""


def unnamed_sensor(specs: Sequence[ModelSpec]) -> dg.SensorDefinition:
    """Return the sensor `models_without_definition`."""
    named = {spec.model for spec in specs}

    @sensor("models_without_definition", seconds=60)
    def models_without_definition(context: dg.SensorEvaluationContext, platform: Platform) -> dg.SkipReason:
        others = _live_locations(context.instance) - {location_of(context)}
        looks = look_after_unnamed(platform.stores(), named, others)
        looks.check()
        unnamed = ", ".join(model for model, has_none in looks.found.items() if has_none)
        return dg.SkipReason(f"without a definition: {unnamed}" if unnamed else "every model has a definition")

    return models_without_definition


def _live_locations(instance: dg.DagsterInstance) -> set[str | None]:
    """Return the code locations of this instance whose sensor `rollouts` has ticked lately."""
    since = SystemClock().now().timestamp() - ALIVE_SECONDS
    return {
        state.origin.repository_origin.code_location_origin.location_name
        for state in instance.all_instigator_state(instigator_type=InstigatorType.SENSOR)
        if state.name == ROLLOUTS
        and isinstance(data := state.instigator_data, SensorInstigatorData)
        and (data.last_tick_timestamp or 0) >= since
    }
