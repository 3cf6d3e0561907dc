"""The sensor that watches all models: one for the fleet, since a sensor per model would limit its size."""

import dagster as dg

from mlops_dagster.components import Platform
from mlops_dagster.loop.watching import look


@dg.sensor(
    name="alerts",
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Judges the rules of every model (accuracy, failed and slow requests, missing values, drift, labels "
    "and reports that do not come) by its alert policy, and opens or resolves their alerts.",
)
def alerts(platform: Platform) -> dg.SkipReason:
    stores = platform.stores()
    found = look(stores, stores.clock.now())
    failed = f"; cannot be judged: {', '.join(found.failed)}" if found.failed else ""
    return dg.SkipReason(
        f"{found.rules} rules of {found.models} models judged: {found.opened} alerts opened, {found.resolved} "
        f"resolved{failed}"
    )
