"""`mlops rollouts`: rollouts of challengers, from shadow to champion, or out."""

from collections.abc import Callable, Mapping

import typer

from mlops_dagster.cli.rollouts.by_hand import abort, advance, pause, resume, tick
from mlops_dagster.cli.rollouts.explaining import explain
from mlops_dagster.cli.rollouts.listing import list_rollouts
from mlops_dagster.cli.rollouts.replaying import replay
from mlops_dagster.cli.rollouts.standing import status
from mlops_dagster.cli.running import speaks

_COMMANDS: Mapping[str, Callable[..., None]] = {
    "list": list_rollouts,
    "status": status,
    "tick": tick,
    "explain": explain,
    "replay": replay,
    "pause": pause,
    "resume": resume,
    "advance": advance,
    "abort": abort,
}

rollouts = typer.Typer(no_args_is_help=True, help="Rollouts of challengers, from shadow to champion, or out.")
for name, command in _COMMANDS.items():
    rollouts.command(name)(speaks(command))
