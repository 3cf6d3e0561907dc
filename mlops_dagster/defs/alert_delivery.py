"""The sensor that tells people of alerts where no data plane does: none runs, or none reaches the internet."""

from datetime import timedelta

import dagster as dg

from mlops_dagster.alerting import DELIVERY_BEAT
from mlops_dagster.components import Platform
from mlops_dagster.documents.texts import counted
from mlops_dagster.errors import MlopsError

DELIVER_SECONDS = 30
OLDER_THAN = timedelta(seconds=30)
"""Younger messages are left to the data plane, which looks every two seconds, while it does."""


@dg.sensor(
    name="alert_delivery",
    minimum_interval_seconds=DELIVER_SECONDS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Sends messages about alerts that have waited for 30 s by channels in MLOPS_CHANNELS, and reminders.",
)
def alert_delivery(platform: Platform) -> dg.SkipReason:
    stores = platform.stores()
    stores.beats.beat("sensor:alert_delivery", timedelta(seconds=2 * DELIVER_SECONDS))
    stores.letters.tidy()
    delivery = stores.delivery
    if delivery is None:
        return dg.SkipReason("MLOPS_CHANNELS is not set: alerts are listed, and told to nobody")
    planes = [beat for beat in stores.beats.list() if beat.name == DELIVERY_BEAT]
    delivers = any(beat.age(stores.clock.now()) < beat.every for beat in planes)
    older_than = OLDER_THAN if delivers else timedelta()
    sent, failures = 0, []
    try:
        delivery.remind()
        for name in delivery.channels:
            try:
                sent += delivery.deliver(name, older_than)
            except MlopsError as error:  # one channel must not keep the others from being tried
                failures.append(error)
    finally:
        delivery.close()
    if failures:
        raise failures[0]
    return dg.SkipReason(f"{counted(sent, 'messages')} sent")
