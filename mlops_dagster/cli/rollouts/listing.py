"""`mlops rollouts list`: all rollouts."""

from typing import TYPE_CHECKING, Annotated

import typer

from mlops_dagster.cli.arguments import Json
from mlops_dagster.cli.completion import model_names
from mlops_dagster.cli.output import minute, print_json, right, table
from mlops_dagster.cli.running import open_stores

if TYPE_CHECKING:
    from mlops_dagster.rollout import Rollout


def list_rollouts(
    model: Annotated[str | None, typer.Argument(help="only this model's", autocompletion=model_names)] = None,
    json: Json = False,
) -> None:
    """List every rollout: its phase, weight and reason."""
    found = open_stores().rollouts.list(model)
    if json:
        print_json([rollout_document(each) for each in found])
        return
    table(
        (right("id"), "model", "challenger", "phase", right("weight"), "started (UTC)", "reason"),
        [
            (
                str(each.id),
                each.model,
                each.challenger,
                each.phase.value + (" (paused)" if each.paused else ""),
                f"{100 * each.weight:g} %",
                minute(each.started_at),
                each.reason,
            )
            for each in found
        ],
    )


def rollout_document(rollout: "Rollout") -> dict[str, object]:
    """Return a rollout for programs."""
    return {
        "id": rollout.id,
        "model": rollout.model,
        "champion": rollout.champion,
        "challenger": rollout.challenger,
        "phase": rollout.phase.value,
        "paused": rollout.paused,
        "weight": rollout.weight,
        "started_at": rollout.started_at,
        "ended_at": rollout.ended_at,
        "reason": rollout.reason,
    }
