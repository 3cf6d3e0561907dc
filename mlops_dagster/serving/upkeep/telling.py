"""Telling people of alerts, in the background: a thread for each channel, so that none waits for another."""

import logging
from collections.abc import Sequence

from mlops_dagster.serving.telemetry.telemetry import Telemetry
from mlops_dagster.serving.upkeep.periodic import PeriodicTask
from mlops_dagster.stores import Stores

logger = logging.getLogger(__name__)

DELIVER_SECONDS = 2.0


class Telling:
    """The deliverers of a home. Each call of `tell` reminds; the first with a readable file starts the deliverers."""

    def __init__(self, stores: Stores, telemetry: Telemetry) -> None:
        self._stores, self._telemetry = stores, telemetry
        self._deliverers: list[PeriodicTask] = []

    def tell(self) -> None:
        """Put reminders into the outbox, and start the deliverers. Raises InvalidPolicyError and StorageError."""
        delivery = self._stores.delivery
        if delivery is None:
            return
        if not self._deliverers:
            for name in delivery.channels:
                self._start(name)
            for gap in self._stores.routing_gaps():
                logger.warning("channels: %s", gap)
        delivery.remind()

    @property
    def deliverers(self) -> Sequence[PeriodicTask]:
        """The tasks that deliver, one for each channel; none before the first call of `tell`."""
        return tuple(self._deliverers)

    def stop(self) -> None:
        """Stop the deliverers, and return once what they are sending is sent."""
        for deliverer in self._deliverers:
            deliverer.stop()

    def _start(self, name: str) -> None:
        delivery = self._stores.delivery
        assert delivery is not None
        # One name for all of them: it is a label of a metric.
        task = PeriodicTask("alerts", DELIVER_SECONDS, lambda: delivery.deliver(name), self._telemetry, at_once=True)
        task.start()
        self._deliverers.append(task)
