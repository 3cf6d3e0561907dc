"""`mlops new`: a new project of a team."""

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mlops_dagster.cli.output import hint, say
from mlops_dagster.cli.running import speaks
from mlops_dagster.errors import InvalidInputError

if TYPE_CHECKING:
    import pandas as pd

    from mlops_dagster.scaffold import Table


@speaks
def new(
    name: Annotated[str, typer.Argument(help="name of the project and its model; its folder is made here")],
    data: Annotated[
        Path | None, typer.Option(help="Parquet, one row an event: SCHEMA, rates and gates are read from it")
    ] = None,
    event_time: Annotated[str, typer.Option(help="column with the time of an event, with a zone")] = "event_time",
    label: Annotated[str, typer.Option(help="column with the true class, null where unknown")] = "label",
) -> None:
    """Write a new project: the files that Dagster needs, a trainer, and the model's defs.yaml.

    With --data the trainer reads that table; without it, the trainer has to be filled in. Nothing is overwritten.
    """
    from mlops_dagster.scaffold import EXAMPLE, Project, describe, write_project

    today = datetime.now(UTC).date()
    if data is None:
        project = Project(name, today, EXAMPLE)
    else:
        table = describe(_read(data), event_time=event_time, label=label)
        _tell(table)
        there = os.path.relpath(data.absolute(), Path(name).absolute())
        project = Project(name, today, table, Path(there).as_posix(), event_time, label)
    write_project(project, Path(name))
    for why in filter(None, (project.unlabelled, project.why_no_proof())):
        hint(f"its rollout is yours to change: {why}")
    say(f"{name}/ is written; its README.md has the commands, {project.package}/trainer.py and defs.yaml are yours now")


def _read(file: Path) -> "pd.DataFrame":
    import pandas as pd

    if file.suffix != ".parquet":
        raise InvalidInputError(
            f"{str(file)!r} is not a .parquet file, which keeps types and zones; write the table as one: "
            "`pandas.read_csv(...).to_parquet(...)`"
        )
    try:
        return pd.read_parquet(file)
    except OSError as error:
        raise InvalidInputError(f"cannot read {str(file)!r} ({error.strerror or error})") from error
    except Exception as error:  # Arrow's reader raises errors of many kinds
        raise InvalidInputError(f"{str(file)!r} cannot be read as Parquet: {error}") from error


def _tell(table: "Table") -> None:
    kinds = [each.kind for each in table.schema.features]
    say(
        f"{table.rows:,} rows from {table.first_day} on, {table.rows_per_day:,.0f} a day; "
        f"{kinds.count('numeric')} numeric features, {kinds.count('categorical')} categorical; "
        f"classes {', '.join(map(repr, table.schema.task.truths))}, the commonest {table.commonest_share:.2%}"
    )
    for name, why in table.left_out.items():
        say(f"left out: {name!r} ({why})")
