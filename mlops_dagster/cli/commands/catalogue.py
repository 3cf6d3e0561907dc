"""`mlops catalogue`: the MLflow server that shows every version."""

import typer

from mlops_dagster.cli.arguments import Json
from mlops_dagster.cli.output import print_json, say
from mlops_dagster.cli.running import open_stores, speaks
from mlops_dagster.documents.texts import counted

catalogue = typer.Typer(no_args_is_help=True, help="The MLflow server that shows every version.")


@catalogue.command()
@speaks
def sync(json: Json = False) -> None:
    """Send MLflow (MLOPS_MLFLOW_URL) all events that it does not have yet; a sensor does the same."""
    told = open_stores().registry.sync_catalogue()
    if json:
        print_json({"events": told})
    else:
        say(f"MLflow was told of {counted(told, 'events')}")
