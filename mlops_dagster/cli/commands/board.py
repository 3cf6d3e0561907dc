"""`mlops board`: the control room."""

from functools import partial
from typing import Annotated
from urllib.parse import urlencode

import typer

from mlops_dagster.cli.arguments import Json, time_of
from mlops_dagster.cli.completion import model_names
from mlops_dagster.cli.output import print_json, say
from mlops_dagster.cli.running import open_stores


def board(
    port: Annotated[
        int | None, typer.Option(help="port of the page; else MLOPS_BOARD_PORT; 0 picks a free one", min=0, max=65535)
    ] = None,
    at: Annotated[str | None, typer.Option(help="as of this time (ISO 8601 with a zone); else now")] = None,
    page: Annotated[
        int, typer.Option(help="page of models, the worst first; of one model, of its versions", min=1)
    ] = 1,
    model: Annotated[
        str | None, typer.Option(help="only this model, with all of its versions", autocompletion=model_names)
    ] = None,
    json: Json = False,
) -> None:
    """Serve the control room until Ctrl-C: figures, alerts, versions, rollouts, drift and rules of all models.

    With --json it prints the content once and serves nothing. The page only reads. On another address than this
    machine's (MLOPS_BOARD_HOST) its readers need tokens of the scope `read`.
    """
    stores, moment = open_stores(), time_of(at)
    if json:
        from mlops_dagster.board.snapshot import snapshot

        print_json(snapshot(stores, moment or stores.clock.now(), page=page, model=model))
        return
    from mlops_dagster.board.app import create_app
    from mlops_dagster.board.server import run
    from mlops_dagster.board.snapshot import Cache, explain

    settings = stores.settings
    place = f"models/{model}" if model else ""
    query = {**({} if moment is None else {"at": moment.isoformat()}), **({"page": str(page)} if page > 1 else {})}
    shown = place + (f"?{urlencode(query)}" if query else "")
    with stores.tokens.copied():
        run(
            create_app(stores, Cache(stores).get, partial(explain, stores)),
            settings.board_host,
            settings.board_port if port is None else port,
            lambda address: say(f"The control room is at {address}{shown}"),
        )
