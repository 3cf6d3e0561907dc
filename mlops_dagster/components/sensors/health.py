"""The parts of Dagster that have stopped: daemons, and sensors that fail again and again."""

from typing import Final

import dagster as dg

from mlops_dagster.components.compat import InstigatorType

FAILURES: Final = 3
"""Ticks in a row after which a sensor that fails is told of; one failed tick is made good by the next."""


def dagster_troubles(instance: dg.DagsterInstance) -> dict[str, str] | None:
    """Return a sentence for each daemon that is needed and gives no sign of life, and each sensor that only fails.

    None where no daemon ticks the sensors, as in a rehearsal: then nobody watches, and nobody is missed.
    """
    statuses = instance.get_daemon_statuses()
    if "SENSOR" not in statuses or not statuses["SENSOR"].healthy:
        return None
    daemons = {
        f"daemon {name}": f"Dagster's daemon {name} gives no sign of life; start `dagster-daemon run`, look at its log"
        for name, status in statuses.items()
        if status.required and not status.healthy
    }
    sensors = {}
    for state in instance.all_instigator_state(instigator_type=InstigatorType.SENSOR):
        ticks = instance.get_ticks(state.instigator_origin_id, state.selector_id, limit=FAILURES)
        if state.is_running and len(ticks) == FAILURES and all(tick.is_failure for tick in ticks):
            name = state.instigator_name
            sensors[f"sensor {name}"] = (
                f"the sensor {name} has failed {FAILURES} times in a row; Dagster's page of it says why"
            )
    return daemons | sensors
