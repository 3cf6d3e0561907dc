"""The arguments with which `explain` and `replay` name a decision."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from mlops_dagster.errors import RolloutNotFoundError

if TYPE_CHECKING:
    from mlops_dagster.rollout import Decision, RolloutStore

DecisionId = Annotated[int | None, typer.Argument(metavar="[ID]", help="id of a decision")]
OfRollout = Annotated[int | None, typer.Option("--rollout", help="instead: id of a rollout, as in `list`")]


def history(store: "RolloutStore", decision: int | None, rollout: int | None) -> "Sequence[Decision]":
    """Return the decisions of a rollout up to the chosen one: the named one, or the last. Never empty.

    It is a usage error unless exactly one of `decision` and `rollout` is given; raises RolloutNotFoundError.
    """
    if (decision is None) == (rollout is None):
        raise typer.BadParameter("name a decision by its ID, or a rollout by --rollout")
    if rollout is None:
        meant = store.decision(decision or 0)
        return [each for each in store.decisions(meant.rollout.id) if each.id <= meant.id]
    found = store.decisions(store.get(rollout).id)
    if not found:
        raise RolloutNotFoundError(f"nothing was decided about rollout {rollout} yet; the next look will")
    return found
