"""The fleet's sensors that change the versions that serve: `limits`, `rollouts` and `headline_floor`.

They act within their tick: a run would start half a minute later, and with 1,000 models minutes later.
"""

from collections.abc import Callable, Iterable, Sequence
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


def serving_sensors(specs: Sequence[ModelSpec]) -> list[dg.SensorDefinition]:
    """Return the sensors of all models.

    `limits` reads the running rollouts and their counts, and nothing else; `rollouts` starts and advances rollouts, and
    rolls back if it finds a proof first; `headline_floor` acts on the daily reports.
    """
    return [
        _acting("limits", 10, lambda stores: in_rollout(stores, specs), take_out),
        _acting(ROLLOUTS, 30, lambda _stores: specs, roll_out),
        _acting("headline_floor", 60, lambda _stores: specs, roll_back_under_floor),
    ]


def _acting(
    name: str,
    seconds: int,
    specs_of: Callable[[Stores], Iterable[ModelSpec]],
    act: Callable[[Stores, ModelSpec], Step],
) -> dg.SensorDefinition:
    """Define a sensor that acts on each model and records the step at once.

    Its tick raises FleetError after the last model if one failed. A look that some models fail is a sign of life: that
    a sensor fails is told by its ticks.
    """

    @sensor(name, seconds)
    def acting(context: dg.SensorEvaluationContext, platform: Platform) -> dg.SkipReason:
        stores = platform.stores()

        def look(spec: ModelSpec) -> str:
            if name == ROLLOUTS:  # the sign that this code location looks after the model
                publish_policies(stores, spec, context)
            step = act(stores, spec)
            record(context.instance, stores, spec, step)
            return step.said

        looks = look_at_each(specs_of(stores), look)
        stores.beats.beat(f"sensor:{name}", BEAT)
        looks.check()
        return dg.SkipReason(in_short(looks.found) or "nothing to look at")

    return acting
