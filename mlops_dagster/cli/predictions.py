"""`mlops predictions`: the prediction log."""

import typer

from mlops_dagster.cli.arguments import Json
from mlops_dagster.cli.output import print_json, right, table
from mlops_dagster.cli.running import house, speaks

predictions = typer.Typer(no_args_is_help=True, help="The prediction log.")


@predictions.command("audit")
@speaks
def audit_predictions(json: Json = False) -> None:
    """Prove that every answered prediction is in the spool or the log; exit code 1 if any is missing."""
    from mlops_dagster.predictions import audit as check

    stores = house()
    report = check(stores.spool, stores.log)
    counts = {
        "answered": report.answered,
        "logged": report.logged,
        "spooled": report.spooled,
        "gaps": len(report.gaps),
    }
    if json:
        print_json(counts)
    else:
        table([right(name) for name in counts], [[f"{count:,}" for count in counts.values()]])
    if not report.complete:
        raise typer.Exit(1)
