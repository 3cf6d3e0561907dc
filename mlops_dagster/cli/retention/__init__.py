"""`mlops retention`: how long records are kept, what went, and its application by hand."""

import typer

from mlops_dagster.cli.retention.applying import apply_now
from mlops_dagster.cli.retention.showing import show
from mlops_dagster.cli.running import speaks

retention = typer.Typer(no_args_is_help=True, help="How long each kind of record is kept, and the removal of old ones.")
retention.command("show")(speaks(show))
retention.command("apply")(speaks(apply_now))
