"""`mlops models`: versions and deployments of models."""

from collections.abc import Callable, Mapping

import typer

from mlops_dagster.cli.models.approvals import approve, reject, request_approval
from mlops_dagster.cli.models.comparing import compare
from mlops_dagster.cli.models.deploying import promote, roll_back
from mlops_dagster.cli.models.holding import hold, release
from mlops_dagster.cli.models.listing import history, list_versions
from mlops_dagster.cli.models.registering import register
from mlops_dagster.cli.models.showing import card, check, show
from mlops_dagster.cli.running import speaks

_COMMANDS: Mapping[str, Callable[..., None]] = {
    "list": list_versions,
    "show": show,
    "card": card,
    "compare": compare,
    "history": history,
    "register": register,
    "check": check,
    "request-approval": request_approval,
    "approve": approve,
    "reject": reject,
    "promote": promote,
    "rollback": roll_back,
    "hold": hold,
    "release": release,
}

models = typer.Typer(no_args_is_help=True, help="Versions and deployments of models.")
for name, command in _COMMANDS.items():
    models.command(name)(speaks(command))
