"""`mlops alerts`: the open alerts of all models."""

from dataclasses import asdict
from typing import Annotated

import typer

from mlops_dagster.cli.arguments import Json
from mlops_dagster.cli.completion import model_names
from mlops_dagster.cli.output import NONE, hint, minute, print_json, right, say, table
from mlops_dagster.cli.running import open_stores
from mlops_dagster.errors import NotFoundError


def alerts(
    model: Annotated[str | None, typer.Argument(help="only this model's", autocompletion=model_names)] = None,
    resolved: Annotated[bool, typer.Option("--all", help="also resolved alerts")] = False,
    resolve: Annotated[
        str | None, typer.Option(metavar="RULE", help="close the model's open alert of this rule")
    ] = None,
    reason: Annotated[str | None, typer.Option(help="the reason for --resolve; it is kept for ever")] = None,
    json: Json = False,
) -> None:
    """List what is wrong now and the action taken on it; with --resolve, close an alert."""
    if resolve is not None:
        if model is None or not reason:
            raise typer.BadParameter("name the model and give a --reason", param_hint="--resolve")
        _resolve(model, resolve, reason)
        return
    found = open_stores().alerts.list(model, resolved=resolved)
    if json:
        print_json([{**asdict(each), "runbook": each.runbook} for each in found])
        return
    table(
        ("severity", "model", "rule", "since (UTC)", right("times"), "over (UTC)", "what, and what was done"),
        [
            (
                each.severity.value,
                each.model,
                each.rule,
                minute(each.opened_at),
                str(each.times),
                NONE if each.resolved_at is None else minute(each.resolved_at),
                "; ".join(filter(None, [each.summary, each.done, each.resolution])),
            )
            for each in found
        ],
    )
    for page in sorted({each.runbook for each in found if each.open}):
        hint(f"what to do: {page} in the documentation")


def _resolve(model: str, rule: str, reason: str) -> None:
    stores = open_stores()
    if stores.alerts.resolve(model, rule, f"{reason} ({stores.actor}, by hand)") is None:
        rules = [each.rule for each in stores.alerts.list(model)]
        raise NotFoundError(f"{model!r} has no open alert of the rule {rule!r}; open are {rules}")
    say(f"{rule} of {model} is resolved; it opens again if it is seen again")
