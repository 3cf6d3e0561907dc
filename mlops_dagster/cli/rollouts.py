"""`mlops rollouts`: challengers on their way to all traffic, or out."""

from typing import Annotated

import typer

from mlops_dagster.cli.arguments import Json, Model
from mlops_dagster.cli.completion import model_names
from mlops_dagster.cli.output import minute, print_json, right, table
from mlops_dagster.cli.running import house, speaks

rollouts = typer.Typer(no_args_is_help=True, help="Challengers on their way to all traffic, or out.")


@rollouts.command("list")
@speaks
def list_rollouts(
    model: Annotated[str | None, typer.Argument(help="only this model's", autocompletion=model_names)] = None,
    json: Json = False,
) -> None:
    """Every rollout: where it stands and why."""
    found = house().rollouts.list(model)
    if json:
        print_json(
            [
                {
                    "id": each.id,
                    "model": each.model,
                    "champion": each.champion,
                    "challenger": each.challenger,
                    "phase": each.phase.value,
                    "paused": each.paused,
                    "weight": each.weight,
                    "started_at": each.started_at,
                    "ended_at": each.ended_at,
                    "reason": each.reason,
                }
                for each in found
            ]
        )
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


@rollouts.command()
@speaks
def pause(model: Model) -> None:
    """Stop the running rollout where it is: it still rolls back on proof, but never advances."""
    house().rollouts.pause(model)


@rollouts.command()
@speaks
def resume(model: Model) -> None:
    """Let a paused rollout go on."""
    house().rollouts.resume(model)
