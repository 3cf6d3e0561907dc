"""`mlops tokens`: bearer tokens of the data plane, and their scopes."""

from typing import Annotated

import typer

from mlops_dagster.access import Scope
from mlops_dagster.cli.arguments import Json
from mlops_dagster.cli.output import minute, print_json, say, table
from mlops_dagster.cli.running import open_stores, speaks

Name = Annotated[str, typer.Argument(help="the user or service that has the token, e.g. shop-backend")]

tokens = typer.Typer(
    no_args_is_help=True,
    help="Bearer tokens of all servers on this database, which follow a change within two seconds.",
)


@tokens.command()
@speaks
def create(name: Name, scope: Annotated[list[Scope], typer.Option(help="its scope; may be repeated")]) -> None:
    """Create a token and print it, once. From the first token on, every request needs a token."""
    stores = open_stores()
    say(stores.tokens.create(name, scope, at=stores.clock.now(), by=stores.actor))


@tokens.command("list")
@speaks
def list_tokens(json: Json = False) -> None:
    """Show the tokens' names, scopes and origin."""
    found = open_stores().tokens.list() or ()
    if json:
        print_json(
            [
                {"name": each.name, "scopes": each.scopes, "created_at": each.created_at, "created_by": each.created_by}
                for each in found
            ]
        )
        return
    table(
        ["NAME", "SCOPES", "CREATED", "BY"],
        [(token.name, ", ".join(token.scopes), minute(token.created_at), token.created_by) for token in found],
    )


@tokens.command()
@speaks
def revoke(name: Name) -> None:
    """Revoke a token. Every request needs one also after the last one was revoked."""
    stores = open_stores()
    stores.tokens.revoke(name, at=stores.clock.now(), by=stores.actor)
