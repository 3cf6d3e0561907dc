"""`mlops tokens`: bearer tokens of the data plane, and their scopes."""

from typing import Annotated

import typer

from mlops_dagster.access import Scope, TokenFile
from mlops_dagster.cli.arguments import Json
from mlops_dagster.cli.output import minute, print_json, say, table
from mlops_dagster.cli.running import settings, speaks

Name = Annotated[str, typer.Argument(help="the user or service that has the token, e.g. shop-backend")]

tokens = typer.Typer(
    no_args_is_help=True, help="Bearer tokens of the data plane, which reads a change within a second."
)


@tokens.command()
@speaks
def create(name: Name, scope: Annotated[list[Scope], typer.Option(help="its scope; may be repeated")]) -> None:
    """Create a token and print it, once. From the first token on, every request needs a token."""
    from mlops_dagster.clock import SystemClock
    from mlops_dagster.registry.session import os_user

    say(TokenFile(settings().tokens_path).create(name, scope, at=SystemClock().now(), by=os_user()))


@tokens.command("list")
@speaks
def list_tokens(json: Json = False) -> None:
    """Show the tokens' names, scopes and origin."""
    found = TokenFile(settings().tokens_path).read() or ()
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
    """Revoke a token. Once the last one is revoked, no request is answered until tokens.json is removed."""
    TokenFile(settings().tokens_path).revoke(name)
