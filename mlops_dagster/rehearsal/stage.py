"""The steps of a rehearsal on the data plane: send, deliver labels, flush, wait for a deployment."""

import time
from collections.abc import Sequence

from mlops_dagster.errors import ServerError
from mlops_dagster.registry import ModelRegistry
from mlops_dagster.rehearsal.traffic.client import Client
from mlops_dagster.rehearsal.traffic.labels import DueLabel
from mlops_dagster.rehearsal.traffic.traffic import Request

IN_FORCE_SECONDS = 30
POLL_SECONDS = 0.02


class ServingStage:
    """One model behind one data plane, or several that are asked in turn."""

    def __init__(self, model: str, clients: Sequence[Client], registry: ModelRegistry) -> None:
        self._model = model
        self._clients = clients
        self._registry = registry
        self._epoch_in_force = 0

    def send(self, requests: Sequence[Request]) -> list[DueLabel]:
        """Send all requests, many at a time; return the labels that will become known for those that were answered."""
        due = []
        for plane, client in enumerate(self._clients):
            its = requests[plane :: len(self._clients)]
            answers = client.post_all(f"/v2/models/{self._model}/infer", [request.body for request in its])
            due += [
                DueLabel(request.known_at, answer.json()["id"], request.label, plane)
                for request, answer in zip(its, answers, strict=True)
                if answer.status == 200 and request.label is not None and request.known_at is not None
            ]
        return due

    def deliver(self, labels: Sequence[DueLabel]) -> int:
        """Send labels to the data planes that answered, so that none waits for another; return how many.

        Raises ServerError if a prediction is unknown there.
        """
        for plane, client in enumerate(self._clients):
            content = [
                {"prediction_id": label.prediction_id, "label": label.label, "at": label.known_at.isoformat()}
                for label in labels
                if label.plane == plane
            ]
            if content:
                result = client.post(f"/v1/models/{self._model}/feedback", {"labels": content})
                if result["unknown"]:
                    raise ServerError(f"the data plane has answered, but does not know, {result['unknown'][:3]}")
        return len(labels)

    def flush(self, *, log: bool = False) -> None:
        """Wait until all answered rows are in the rollups, and with `log` in the log as well."""
        for client in self._clients:
            client.post("/v1/flush", {"log": log})

    def wait_until_in_force(self) -> None:
        """Wait until all data planes serve the latest deployment. Raises ServerError if that takes too long."""
        epoch = self._registry.deployment(self._model).epoch
        if epoch == self._epoch_in_force:
            return
        deadline = time.monotonic() + IN_FORCE_SECONDS
        while self._serving(epoch) < len(self._clients):
            if time.monotonic() > deadline:
                raise ServerError(
                    f"a data plane does not serve epoch {epoch} of {self._model} after {IN_FORCE_SECONDS} s"
                )
            time.sleep(POLL_SECONDS)
        self._epoch_in_force = epoch

    def _serving(self, epoch: int) -> int:
        """Return how many data planes, of one worker each, have come as far as `epoch`."""
        return len({seen.process for seen in self._registry.acknowledgements(self._model) if seen.epoch >= epoch})
