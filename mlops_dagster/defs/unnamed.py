"""The sensor for models that no definition names (any more): their YAML was removed, or cannot be used."""

import logging

import dagster as dg

from mlops_dagster.clock import SystemClock
from mlops_dagster.components import Platform
from mlops_dagster.components.compat import InstigatorType, SensorInstigatorData
from mlops_dagster.dagster_pages import prefix_of
from mlops_dagster.errors import MlopsError
from mlops_dagster.rollout import RolloutPolicy
from mlops_dagster.rollout.actions.unnamed import hold, release, was_orchestrated

ALIVE_SECONDS = 600
"""For this long after the last tick of its rollout sensor, a model is taken to belong to another code location."""

logger = logging.getLogger(__name__)


@dg.sensor(
    name="models_without_definition",
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Finds models that no definition names: their rollouts are held where they are, a challenger that is "
    "proven bad is still taken out, and the alert `no_definition` is open until a definition names them again.",
)
def models_without_definition(context: dg.SensorEvaluationContext, platform: Platform) -> dg.SkipReason:
    assert context.repository_def is not None
    stores = platform.stores()
    registry, alerts = stores.registry, stores.alerts
    controller = stores.controller(lambda _model: RolloutPolicy())  # this policy is never used: no rollout is started
    elsewhere, unnamed = _looked_at(context.instance), []
    for model in registry.models():
        sensor = f"{prefix_of(model)}_rollout"
        try:
            if context.repository_def.has_sensor_def(sensor) or sensor in elsewhere:
                release(stores.rollouts, controller, alerts, model)
            elif was_orchestrated(registry, model):
                unnamed.append(model)
                hold(registry, stores.rollouts, controller, alerts, model)
        except MlopsError as error:  # an error of one model must not stop the others
            logger.error("%s, which no definition names, cannot be looked after: %s", model, error)
    return dg.SkipReason(f"without a definition: {', '.join(unnamed)}" if unnamed else "every model has a definition")


def _looked_at(instance: dg.DagsterInstance) -> set[str]:
    """Return the sensors that ticked lately, in any code location of this instance."""
    since = SystemClock().now().timestamp() - ALIVE_SECONDS
    found = set()
    for state in instance.all_instigator_state(instigator_type=InstigatorType.SENSOR):
        data = state.instigator_data
        if isinstance(data, SensorInstigatorData) and (data.last_tick_timestamp or 0) >= since:
            found.add(state.name)
    return found
