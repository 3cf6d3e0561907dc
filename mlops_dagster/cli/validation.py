"""`mlops validation`: the suites that batches are held against."""

from pathlib import Path
from typing import Annotated

import typer

from mlops_dagster.cli.arguments import Model
from mlops_dagster.cli.output import say, write_text
from mlops_dagster.cli.running import house, speaks
from mlops_dagster.errors import ModelNotFoundError

validation = typer.Typer(no_args_is_help=True, help="The suites that batches are held against.")


@validation.callback()
def _group() -> None:
    """A group, though it has one command so far."""


@validation.command()
@speaks
def suite(
    model: Model,
    output: Annotated[Path | None, typer.Option(help="a file, which is replaced; else it is printed")] = None,
) -> None:
    """Write the suite that is derived from the champion, as Great Expectations' JSON, to be edited.

    Put it beside defs.yaml and name it there, `validation: {suite: suite.json}`: then it is used as it stands.
    Its limits are the defaults.
    """
    from mlops_dagster.monitoring import suite_for
    from mlops_dagster.monitoring.suites import suite_to_json

    champion = house().champion(model)
    if champion is None or champion.schema is None:
        raise ModelNotFoundError(f"{model!r} has no champion with a schema to derive a suite from")
    derived = suite_for(champion.schema, champion.baseline)
    text = suite_to_json(derived)
    if output is None:
        typer.echo(text, nl=False)
        return
    write_text(output, text)
    say(f"{len(derived.expectations)} expectations of {model} {champion.version} in {output}")
