"""The fleet's sensors that change the versions that serve: `limits`, `rollouts` and `macro_f1_floor`.

They act within their tick: a run would start half a minute later, and with 1,000 models minutes later.
"""

from collections.abc import Callable, Sequence
from datetime import timedelta

import dagster as dg

from mlops_dagster.components.assets.deployment import record
from mlops_dagster.components.platform import Platform, publish_policies
from mlops_dagster.components.sensors.own import sensor
from mlops_dagster.loop.fleet import in_short, look_at_each
from mlops_dagster.loop.roll_out import Step, in_rollout, roll_back_under_floor, roll_out, take_out
from mlops_dagster.loop.spec import ModelSpec
from mlops_dagster.stores import Stores

BEAT = timedelta(minutes=1)
"""The time within which the next tick of each of these sensors is due."""

ROLLOUTS = "rollouts"
"""The name of the sensor by which a code location shows that it looks after its models."""


def limits_sensor(specs: Sequence[ModelSpec]) -> dg.SensorDefinition:
    """Return the sensor `limits`, which reads the running rollouts and their counts, and nothing else."""

    @sensor("limits", seconds=10)
    def limits(context: dg.SensorEvaluationContext, platform: Platform) -> dg.SkipReason:
        stores = platform.stores()
        return _acted("limits", context, stores, in_rollout(stores, specs), take_out)

    return limits


def rollouts_sensor(specs: Sequence[ModelSpec]) -> dg.SensorDefinition:
    """Return the sensor `rollouts`, which starts and advances rollouts, and rolls back if it finds a proof first."""

    @sensor(ROLLOUTS, seconds=30)
    def rollouts(context: dg.SensorEvaluationContext, platform: Platform) -> dg.SkipReason:
        def act(stores: Stores, spec: ModelSpec) -> Step:
            publish_policies(stores, spec, context)
            return roll_out(stores, spec)

        return _acted(ROLLOUTS, context, platform.stores(), specs, act)

    return rollouts


def macro_f1_floor_sensor(specs: Sequence[ModelSpec]) -> dg.SensorDefinition:
    """Return the sensor `macro_f1_floor`, which acts on the daily reports."""

    @sensor("macro_f1_floor", seconds=60)
    def macro_f1_floor(context: dg.SensorEvaluationContext, platform: Platform) -> dg.SkipReason:
        return _acted("macro_f1_floor", context, platform.stores(), specs, roll_back_under_floor)

    return macro_f1_floor


def _acted(
    sensor: str,
    context: dg.SensorEvaluationContext,
    stores: Stores,
    specs: Sequence[ModelSpec],
    act: Callable[[Stores, ModelSpec], Step],
) -> dg.SkipReason:
    """Act on each model and record the step at once; raises FleetError after the last model if one failed.

    A look that some models fail is a sign of life: that a sensor fails is told by its ticks.
    """

    def look(spec: ModelSpec) -> str:
        step = act(stores, spec)
        record(context.instance, stores, spec, step)
        return step.said

    looks = look_at_each(specs, look)
    stores.beats.beat(f"sensor:{sensor}", BEAT)
    looks.check()
    return dg.SkipReason(in_short(looks.found) or "nothing to look at")
