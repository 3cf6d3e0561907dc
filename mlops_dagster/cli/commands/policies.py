"""`mlops policies`: the policies of a model, as its code location published them to the registry."""

from typing import Annotated

import typer

from mlops_dagster.cli.arguments import Json, Model, Reason, time_of
from mlops_dagster.cli.output import NONE, facts, minute, print_json, say
from mlops_dagster.cli.running import registry, speaks
from mlops_dagster.errors import NotFoundError

policies = typer.Typer(no_args_is_help=True, help="The policies of a model, as they were published to the registry.")


@policies.command()
@speaks
def show(
    model: Model,
    at: Annotated[str | None, typer.Option(help="those in force at this time (ISO 8601 with a zone); else now")] = None,
    json: Json = False,
) -> None:
    """Show the policies in force, now or at a time; `mlops models history` lists every publication."""
    found = registry().policies(model, as_of=time_of(at))
    if found.published_at is None:
        then = "" if at is None else f" by {at}"
        raise NotFoundError(f"no policies of {model!r} were published{then}; without any, the defaults are in force")
    if json:
        print_json(
            {
                "model": found.model,
                "location": found.location,
                "published_at": found.published_at,
                "event": found.event,
                "policies": found.sections,
            }
        )
        return
    import yaml

    facts(
        [
            ("model", found.model),
            ("code location", found.location or NONE),
            ("published", f"{minute(found.published_at)} UTC, event {found.event}"),
        ]
    )
    typer.echo(f"\n{yaml.safe_dump(dict(found.sections), default_flow_style=None)}", nl=False)


@policies.command("hand-over")
@speaks
def hand_over(
    model: Model,
    to: Annotated[str, typer.Option(help="name of the code location that defines the model from now on")],
    reason: Reason,
) -> None:
    """Let another code location publish the model's policies; those in force stay until it does."""
    registry().hand_over_policies(model, to=to, reason=reason)
    say(f"{model}: its policies are those of the code location {to!r}")
