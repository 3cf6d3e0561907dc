"""The facts about a version that commands and pages show: its role and traffic, accuracy and age."""

from datetime import datetime
from typing import TYPE_CHECKING, Literal, NamedTuple

from mlops_dagster.clock import in_utc

if TYPE_CHECKING:
    from mlops_dagster.registry import Deployment, ModelVersion


class Serving(NamedTuple):
    """The role of a version in its model's deployment, and its share of the traffic."""

    role: Literal["champion", "canary", "shadow"] | None
    traffic: float
    """The share of the requests that the version answers, 0 to 1."""
    on_hold: str | None = None
    """The reason why no request is answered now; None if the model is not on hold."""

    def __str__(self) -> str:
        if self.role is None:
            return "-"
        if self.role == "shadow":
            return "logs only"
        return f"{100 * self.traffic:g} % traffic{', on hold' if self.on_hold else ''}"


def serving(deployment: "Deployment", version: str) -> Serving:
    """Return the role of a version in the deployment."""
    on_hold = None if deployment.on_hold is None else deployment.on_hold.reason
    if version == deployment.champion:
        return Serving("champion", round(1 - deployment.canary_weight, 12), on_hold)
    if version == deployment.canary:
        return Serving("canary", deployment.canary_weight, on_hold)
    return Serving("shadow" if version in deployment.shadows else None, 0.0, on_hold)


def trained(version: "ModelVersion") -> datetime:
    """Return the end of the version's training data; the time of registration if its card does not give it."""
    if version.card is None or version.card.provenance is None:
        return version.created_at
    return in_utc(version.card.provenance.end)


def accuracy(version: "ModelVersion") -> float | None:
    """Return the accuracy on all held-out rows, from the card, or else from the metrics of the registration."""
    overall = version.card and version.card.overall
    return (overall.metrics if overall else version.metrics).get("accuracy")
