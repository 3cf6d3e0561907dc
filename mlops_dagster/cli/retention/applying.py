"""`mlops retention apply`: removal of old records by hand, as the daily job `retention` does it."""

from typing import Annotated

import typer

from mlops_dagster.cli.arguments import Json
from mlops_dagster.cli.completion import model_names
from mlops_dagster.cli.output import hint, print_json, right, say, table
from mlops_dagster.cli.running import open_stores


def apply_now(
    model: Annotated[str | None, typer.Argument(help="only this model", autocompletion=model_names)] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="count what would go, and change nothing")] = False,
    json: Json = False,
) -> None:
    """Remove what is older than the policies say and no decision rests on; Dagster's runs are left to its job."""
    from mlops_dagster.loop.retention.apply import apply_retention

    found = apply_retention(open_stores(), model=model, dry_run=dry_run)
    if json:
        print_json({"dry_run": dry_run, "removed": found.removed, "failed": found.failed})
    else:
        table(
            ("kind", right("models"), right("would go" if dry_run else "went")),
            [(kind, str(models), f"{removed:,}") for kind, (models, removed) in found.totals.items()],
        )
        if not found.totals:
            say("nothing is old")
        if not dry_run and model is None:
            hint("Dagster's own runs go with its job `retention`")
    found.check()
