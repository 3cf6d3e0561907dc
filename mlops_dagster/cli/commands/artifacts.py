"""`mlops artifacts`: the store of bytes."""

from datetime import timedelta
from typing import Annotated

import typer

from mlops_dagster.cli.arguments import Json
from mlops_dagster.cli.output import hint, minute, print_json, right, table
from mlops_dagster.cli.running import open_stores, speaks

artifacts = typer.Typer(no_args_is_help=True, help="The store of bytes.")


@artifacts.command()
@speaks
def orphans(
    hours: Annotated[float, typer.Option(min=0, help="only what was stored longer ago than this")] = 24,
    remove: Annotated[bool, typer.Option("--remove", help="remove them, too")] = False,
    json: Json = False,
) -> None:
    """Blobs that no version names: what a crash between the copy and the row leaves behind."""
    registry = open_stores().registry
    found = registry.orphans(older_than=timedelta(hours=hours))
    if remove:
        found = registry.remove_orphans(found)
    if json:
        print_json({"removed": remove, "orphans": found})
        return
    table(
        ("key", right("bytes"), "stored (UTC)"),
        [(blob.key, f"{blob.size:,}", minute(blob.stored_at)) for blob in found],
    )
    hint(f"{len(found)} removed" if remove else f"{len(found)} orphans; --remove removes them")
