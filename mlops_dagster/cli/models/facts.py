"""What the commands say of a version: who it serves, how good it is, how old its data are."""

from datetime import datetime
from typing import TYPE_CHECKING, Literal, NamedTuple

from rich.text import Text

from mlops_dagster.cli.output import NONE
from mlops_dagster.clock import in_utc

if TYPE_CHECKING:
    from mlops_dagster.registry import Deployment, ModelVersion


class Serving(NamedTuple):
    """The part of a version in its model's deployment."""

    role: Literal["champion", "canary", "shadow"] | None
    traffic: float
    """Share of the requests it answers, 0 to 1."""
    on_hold: str | None = None
    """Why nobody's requests are answered now."""

    def __str__(self) -> str:
        if self.role is None:
            return NONE
        if self.role == "shadow":
            return "logs only"
        return f"{100 * self.traffic:g} % traffic{', on hold' if self.on_hold else ''}"


def serving(deployment: "Deployment", version: str) -> Serving:
    on_hold = None if deployment.on_hold is None else deployment.on_hold.reason
    if version == deployment.champion:
        return Serving("champion", round(1 - deployment.canary_weight, 12), on_hold)
    if version == deployment.canary:
        return Serving("canary", deployment.canary_weight, on_hold)
    return Serving("shadow" if version in deployment.shadows else None, 0.0, on_hold)


def trained(version: "ModelVersion") -> datetime:
    """The end of its training data; when it was registered, if its card says nothing of them."""
    if version.card is None or version.card.provenance is None:
        return version.created_at
    return in_utc(version.card.provenance.end)


def accuracy(version: "ModelVersion") -> float | None:
    """On all held-out rows, by its card, or else as it was registered."""
    overall = version.card and version.card.overall
    return (overall.metrics if overall else version.metrics).get("accuracy")


def summary(version: "ModelVersion", deployment: "Deployment") -> dict[str, object]:
    """A line of the list, for programs."""
    served = serving(deployment, version.version)
    return {
        "model": version.model,
        "version": version.version,
        "trained": trained(version),
        "accuracy": accuracy(version),
        "stage": version.stage.value,
        "rolled_back": version.rolled_back,
        "role": served.role,
        "traffic": served.traffic,
        "on_hold": served.on_hold,
    }


def status(version: "ModelVersion") -> Text:
    """Its stage, and whether it was found bad."""
    if version.rolled_back:
        deprecated = version.stage.value == "Deprecated"
        return Text("Rolled back" if deprecated else f"{version.stage}, rolled back", style="red")
    return Text(version.stage, style=_STYLES.get(version.stage.value, ""))


_STYLES = {"Production": "bold green", "Canary": "yellow", "Shadow": "cyan", "Deprecated": "dim"}
