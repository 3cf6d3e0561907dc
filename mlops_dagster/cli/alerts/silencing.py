"""`mlops alerts silence`, `unsilence` and `silences`: times in which alerts are recorded without being told."""

from dataclasses import asdict
from datetime import timedelta
from typing import Annotated

import typer

from mlops_dagster.cli.arguments import Json, Reason
from mlops_dagster.cli.completion import model_names
from mlops_dagster.cli.output import minute, print_json, right, say, table
from mlops_dagster.cli.running import open_stores


def silence(
    model: Annotated[str, typer.Argument(help="glob of models, quoted: '*' for all", autocompletion=model_names)],
    hours: Annotated[float, typer.Option(help="how long; at most 720", min=0.01, max=720)],
    reason: Reason,
    rule: Annotated[str, typer.Option(help="glob of rules, e.g. 'psi'")] = "*",
    severity: Annotated[str, typer.Option(help="glob of severities, e.g. 'warning'")] = "*",
    version: Annotated[str, typer.Option(help="glob of versions, e.g. '2.*'")] = "*",
    json: Json = False,
) -> None:
    """Keep matching alerts from being told for some hours; those that are open at the end are told then."""
    stores = open_stores()
    made = stores.alerts.silence(
        stores.clock.now() + timedelta(hours=hours), reason, model=model, rule=rule, severity=severity, version=version
    )
    if json:
        print_json(asdict(made))
    else:
        say(f"{made.name} until {minute(made.ends_at)} UTC; `mlops alerts unsilence {made.id}` ends it before")


def unsilence(
    silence: Annotated[int, typer.Argument(metavar="SILENCE", help="number, as `mlops alerts silences` shows it")],
    reason: Reason,
    json: Json = False,
) -> None:
    """End a silence now; the open alerts that it muted are told."""
    ended = open_stores().alerts.end_silence(silence, reason)
    if json:
        print_json(asdict(ended))
    else:
        say(f"{ended.name} is over")


def list_silences(json: Json = False) -> None:
    """List the silences in force, with their ends and reasons."""
    found = open_stores().alerts.silences()
    if json:
        print_json([asdict(each) for each in found])
        return
    table(
        (right("silence"), "model", "rule", "severity", "version", "until (UTC)", "by", "reason"),
        [
            (
                str(each.id),
                each.model,
                each.rule,
                each.severity,
                each.version,
                minute(each.ends_at),
                each.actor,
                each.reason,
            )
            for each in found
        ],
    )
