"""`mlops models hold` and `release`: stop and resume a model's answers."""

from typing import TYPE_CHECKING

from mlops_dagster.cli.arguments import Json, Model, Reason
from mlops_dagster.cli.output import print_json, say
from mlops_dagster.cli.running import open_stores

if TYPE_CHECKING:
    from mlops_dagster.registry import Deployment


def hold(model: Model, reason: Reason, json: Json = False) -> None:
    """Answer every request of a model with 503 and the reason, until `release`; passed validations do not end it."""
    _tell(open_stores().registry.hold(model, reason), json)


def release(model: Model, reason: Reason, json: Json = False) -> None:
    """Answer the requests of a model again, after a hold by a person or by validation."""
    _tell(open_stores().registry.release(model, reason), json)


def _tell(deployed: "Deployment", json: bool) -> None:
    why = None if deployed.on_hold is None else deployed.on_hold.reason
    if json:
        print_json({"model": deployed.model, "on_hold": why, "epoch": deployed.epoch})
    else:
        state = "answers" if why is None else f"is on hold: {why}"
        say(f"{deployed.model} {state}; epoch {deployed.epoch}")
