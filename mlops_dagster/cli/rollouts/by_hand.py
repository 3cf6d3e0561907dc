"""`mlops rollouts pause`, `resume`, `advance` and `abort`: a person instead of the evidence."""

from typing import TYPE_CHECKING

from mlops_dagster.cli.arguments import Json, Model, Reason
from mlops_dagster.cli.output import print_json, say
from mlops_dagster.cli.rollouts.listing import place, rollout_document
from mlops_dagster.cli.running import house

if TYPE_CHECKING:
    from mlops_dagster.rollout import Controller, Rollout


def pause(model: Model, reason: Reason, json: Json = False) -> None:
    """Stop the running rollout where it is: it still rolls back on proof, but never advances."""
    _tell(_controller().pause(model, reason), json)


def resume(model: Model, reason: Reason, json: Json = False) -> None:
    """Let a paused rollout go on."""
    _tell(_controller().resume(model, reason), json)


def advance(model: Model, reason: Reason, json: Json = False) -> None:
    """The next step at once, whatever evidence is missing; at the last step the promotion, if the gates are open.

    Refused if the challenger is proven worse.
    """
    _tell(_controller().advance(model, reason), json)


def abort(model: Model, reason: Reason, json: Json = False) -> None:
    """Take the challenger out, without calling it bad."""
    _tell(_controller().abort(model, reason), json)


def _controller() -> "Controller":
    from mlops_dagster.rollout import RolloutPolicy

    # A running rollout carries its policy, and none is started here.
    return house().controller(lambda _model: RolloutPolicy())


def _tell(rollout: "Rollout", json: bool) -> None:
    if json:
        print_json(rollout_document(rollout))
    else:
        say(f"{rollout.model} {rollout.challenger}: {place(rollout)}")
