"""`mlops retention show`: how long each kind of record is kept, from when on it is whole, and what went."""

from typing import Annotated

import typer

from mlops_dagster.cli.arguments import Json
from mlops_dagster.cli.completion import model_names
from mlops_dagster.cli.output import NONE, hint, minute, print_json, right, table, title
from mlops_dagster.cli.running import open_stores


def show(
    model: Annotated[str | None, typer.Argument(help="only this model", autocompletion=model_names)] = None,
    last: Annotated[int, typer.Option(help="number of passes' entries", min=1)] = 20,
    json: Json = False,
) -> None:
    """Show how long each kind of record is kept, from when on it is whole, and what the last passes removed."""
    from mlops_dagster.retention import Kind, RetentionPolicy, shown_since

    stores = open_stores()
    since = stores.retention.since()
    models = [model] if model is not None else stores.registry.models()
    policies = {each: stores.registry.policies(each).section("retention", RetentionPolicy) for each in models}
    passes = stores.retention.passes(last)
    if json:
        print_json(
            {
                "models": {
                    each: {
                        "policy": policy.model_dump(),
                        "since": {kind.value: at.isoformat() for kind, at in since.get(each, {}).items()},
                        "shown_since": shown_since(since.get(each, {})),
                    }
                    for each, policy in policies.items()
                },
                "runs_days": stores.settings.run_days,
                "passes": [
                    {name: getattr(each, name) for name in ("at", "actor", "kind", "models", "removed")}
                    for each in passes
                ],
            }
        )
        return
    rows = [
        (each, kind.value, str(policy.days(kind)), NONE if at is None else minute(at))
        for each, policy in policies.items()
        for kind in Kind
        for at in [since.get(each, {}).get(kind)]
    ]
    table(("model", "kind", right("days"), "whole since (UTC)"), rows)
    for each in models:
        shown = shown_since(since.get(each, {}))
        if shown is not None:
            hint(f"{each} can be seen as it was, with `--at`, from {minute(shown)} UTC on")
    hint(f"Dagster's finished runs are kept for {stores.settings.run_days} days (MLOPS_RUN_DAYS)")
    if passes:
        title("Removed")
        table(
            ("time (UTC)", "by", "kind", right("models"), right("rows or files")),
            [(minute(each.at), each.actor, each.kind, str(each.models), f"{each.removed:,}") for each in passes],
        )
