"""`mlops artifacts`: the store of artifacts."""

from datetime import timedelta
from typing import Annotated

import typer

from mlops_dagster.cli.arguments import Json
from mlops_dagster.cli.output import hint, minute, print_json, right, table
from mlops_dagster.cli.running import open_stores, speaks
from mlops_dagster.documents.texts import counted

artifacts = typer.Typer(no_args_is_help=True, help="The store of artifacts.")


@artifacts.command()
@speaks
def orphans(
    hours: Annotated[float, typer.Option(min=0, help="only blobs that are older than this many hours")] = 24,
    remove: Annotated[bool, typer.Option("--remove", help="also remove them")] = False,
    json: Json = False,
) -> None:
    """List blobs that no version names: a crash between the copy and the database row leaves them behind."""
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
    hint(f"{len(found)} removed" if remove else f"{counted(len(found), 'orphans')}; removed with --remove")
