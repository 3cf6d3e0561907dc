"""`mlops models promote` and `rollback`: changes of the champion."""

from typing import Annotated

import typer

from mlops_dagster.cli.arguments import Json, Model, Reason, Version
from mlops_dagster.cli.completion import version_names
from mlops_dagster.cli.output import print_json, say
from mlops_dagster.cli.running import registry as open_registry


def promote(
    model: Model,
    version: Version,
    reason: Reason,
    force: Annotated[bool, typer.Option("--force", help="ignore closed gates; the event names them")] = False,
    json: Json = False,
) -> None:
    """Make a version champion: all traffic, at once, if every gate is open. Prefer a rollout."""
    registry = open_registry()
    found, before = registry.get(model, version), registry.deployment(model)
    passed_by = [error.code for error in registry.closed_gates(found)] if force else []
    champion = registry.transition(found, "Production", reason=reason, force=force, expected_epoch=before.epoch)
    _tell(model, before.champion, champion.version, registry.deployment(model).epoch, json, forced_past=passed_by)


def roll_back(
    model: Model,
    reason: Reason,
    to: Annotated[
        str | None, typer.Option(help="a version; else the previous champion", autocompletion=version_names)
    ] = None,
    json: Json = False,
) -> None:
    """Give the traffic back to the previous champion, and end a running canary."""
    registry = open_registry()
    bad = registry.deployment(model).champion
    # The bad version is named: if another rollback was quicker, this one changes nothing instead of going back further.
    deployed = registry.rollback(model, reason=reason, to=to, bad=bad)
    _tell(model, bad, deployed.champion, deployed.epoch, json)


def _tell(
    model: str, old: str | None, new: str | None, epoch: int, json: bool, forced_past: list[str] | None = None
) -> None:
    if json:
        forced = {} if forced_past is None else {"forced_past": forced_past}
        print_json({"model": model, "old_champion": old, "champion": new, "epoch": epoch, **forced})
        return
    was = "as before" if old == new else f"in place of {old}" if old else "the first"
    past = f"; forced past {', '.join(forced_past)}" if forced_past else ""
    say(f"{model}: champion is {new}, {was}; epoch {epoch}{past}")
