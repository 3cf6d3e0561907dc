"""`mlops audit`: the history of deployments."""

import typer

from mlops_dagster.cli.arguments import Json
from mlops_dagster.cli.output import print_json, say
from mlops_dagster.cli.running import open_stores, speaks
from mlops_dagster.documents.texts import counted

audit = typer.Typer(no_args_is_help=True, help="The history of deployments.")


@audit.command()
@speaks
def verify(json: Json = False) -> None:
    """Check the hash chain over all events; exit code 1 names the first row that was changed, and opens an alert."""
    from mlops_dagster.loop.registry_events.verify import verify_history

    head = verify_history(open_stores())
    if json:
        print_json({"events": head.events, "head": head.hash})
    else:
        say(f"{counted(head.events, 'events')}, unbroken; head {head.hash}")
