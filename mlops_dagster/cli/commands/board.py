"""`mlops board`: the control room."""

from typing import Annotated

import typer

from mlops_dagster.cli.arguments import Json, time_of
from mlops_dagster.cli.completion import model_names
from mlops_dagster.cli.output import print_json
from mlops_dagster.cli.running import open_stores
from mlops_dagster.errors import InvalidInputError


def board(
    at: Annotated[str | None, typer.Option(help="as of this time (ISO 8601 with a zone); else now")] = None,
    page: Annotated[int, typer.Option(help="page of models, the worst first", min=1)] = 1,
    model: Annotated[
        str | None, typer.Option(help="only this model, with all of its versions", autocompletion=model_names)
    ] = None,
    json: Json = False,
) -> None:
    """Show the control room: figures, alerts, versions, rollouts, drift and rules of all models."""
    from mlops_dagster.board.snapshot import snapshot

    if not json:
        raise InvalidInputError("only --json is there yet; add it")
    stores = open_stores()
    print_json(snapshot(stores, time_of(at) or stores.clock.now(), page=page, model=model))
