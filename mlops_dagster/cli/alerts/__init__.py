"""`mlops alerts`: what is wrong, what was done about it, and who is told."""

from collections.abc import Callable, Mapping

import typer

from mlops_dagster.cli.alerts.acting import acknowledge, resolve
from mlops_dagster.cli.alerts.listing import list_alerts
from mlops_dagster.cli.alerts.showing import show
from mlops_dagster.cli.alerts.silencing import list_silences, silence, unsilence
from mlops_dagster.cli.alerts.telling import outbox, retry, test
from mlops_dagster.cli.running import speaks

_COMMANDS: Mapping[str, Callable[..., None]] = {
    "list": list_alerts,
    "show": show,
    "ack": acknowledge,
    "resolve": resolve,
    "silence": silence,
    "unsilence": unsilence,
    "silences": list_silences,
    "test": test,
    "outbox": outbox,
    "retry": retry,
}

alerts = typer.Typer(no_args_is_help=True, help="What is wrong, what was done about it, and who is told.")
for name, command in _COMMANDS.items():
    alerts.command(name)(speaks(command))
