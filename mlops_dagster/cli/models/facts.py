"""The line of a version in a list, and its status."""

from typing import TYPE_CHECKING

from rich.text import Text

from mlops_dagster.loop.shown.versions import accuracy, serving, trained

if TYPE_CHECKING:
    from mlops_dagster.registry import Deployment, ModelVersion


def summary(version: "ModelVersion", deployment: "Deployment") -> dict[str, object]:
    """Return a line of the list, for programs."""
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
    """Return the version's stage, and whether it was rolled back."""
    if version.rolled_back:
        deprecated = version.stage.value == "Deprecated"
        return Text("Rolled back" if deprecated else f"{version.stage}, rolled back", style="red")
    return Text(version.stage, style=_STYLES.get(version.stage.value, ""))


_STYLES = {"Production": "bold green", "Canary": "yellow", "Shadow": "cyan", "Deprecated": "dim"}
