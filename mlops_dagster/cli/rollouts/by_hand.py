"""`mlops rollouts pause`, `resume`, `advance`, `abort` and `tick`: control of a rollout by a person."""

from typing import TYPE_CHECKING, NoReturn

from mlops_dagster.cli.arguments import Json, Model, Reason
from mlops_dagster.cli.output import hint, print_json, say
from mlops_dagster.cli.rollouts.listing import rollout_document
from mlops_dagster.cli.running import open_stores
from mlops_dagster.errors import RolloutNotFoundError, UnreadableError
from mlops_dagster.loop.shown.rollouts import place

if TYPE_CHECKING:
    from mlops_dagster.rollout import Controller, Rollout


def pause(model: Model, reason: Reason, json: Json = False) -> None:
    """Stop the running rollout at its step: it still rolls back on proof, but never advances."""
    _tell(_controller().pause(model, reason), json)


def resume(model: Model, reason: Reason, json: Json = False) -> None:
    """Resume a paused rollout; its deadline has moved by the length of the pause."""
    _tell(_controller().resume(model, reason), json)


def advance(model: Model, reason: Reason, json: Json = False) -> None:
    """Take the next step at once, even if evidence is missing; at the last step, promote if the gates are open.

    The step is refused if the challenger is proven worse.
    """
    _tell(_controller().advance(model, reason), json)


def abort(model: Model, reason: Reason, json: Json = False) -> None:
    """Take the challenger out, without calling it bad; also for a rollout that cannot be read."""
    try:
        _tell(_controller().abort(model, reason), json)
    except UnreadableError:
        challenger = _controller().discard(model, reason)
        hint(f"the rollout of {model} {challenger} could not be read; it has ended, and the version is out")


def tick(model: Model, json: Json = False) -> None:
    """Judge the evidence now and carry out the decision, as the sensor does; starts no rollout."""
    from mlops_dagster.rollout.alerts.champion_limit import tell_champion_limit

    stores, controller = open_stores(), _controller()
    rollout = stores.rollouts.running(model)
    decision = controller.tick(model)
    tell_champion_limit(stores.alerts, model, decision)
    after = stores.rollouts.get(rollout.id)
    if json:
        decided = None if decision is None else {"id": decision.id, "outcome": decision.outcome.value}
        print_json({"decision": decided, "rollout": rollout_document(after)})
        return
    if decision is not None:
        say(f"{decision.outcome}: {decision.reason}")
    _tell(after, json)


def _controller() -> "Controller":
    return open_stores().controller(_no_policy)


def _no_policy(model: str) -> NoReturn:
    """Refuse to start a rollout, which is for the sensor of its code location; a running one carries its policy."""
    raise RolloutNotFoundError(f"no rollout of {model} is running; Dagster's sensor starts one")


def _tell(rollout: "Rollout", json: bool) -> None:
    if json:
        print_json(rollout_document(rollout))
    else:
        say(f"{rollout.model} {rollout.challenger}: {place(rollout)}")
