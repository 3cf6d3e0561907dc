"""`mlops alerts`."""

from dataclasses import asdict
from typing import Annotated

import typer

from mlops_dagster.cli.arguments import Json
from mlops_dagster.cli.completion import model_names
from mlops_dagster.cli.output import NONE, minute, print_json, right, table
from mlops_dagster.cli.running import house


def list_alerts(
    model: Annotated[str | None, typer.Argument(help="only this model's", autocompletion=model_names)] = None,
    resolved: Annotated[bool, typer.Option("--all", help="those that are over, too")] = False,
    json: Json = False,
) -> None:
    """What is wrong now, and what was done about it."""
    found = house().alerts.list(model, resolved=resolved)
    if json:
        print_json([asdict(each) for each in found])
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
