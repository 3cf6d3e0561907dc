"""`mlops validation`: the suites that batches are validated against."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mlops_dagster.cli.arguments import Model
from mlops_dagster.cli.output import hint, say, write_text
from mlops_dagster.cli.running import attributes_of, open_stores, speaks
from mlops_dagster.documents.readable import fields_of
from mlops_dagster.errors import InvalidPolicyError, ModelNotFoundError

if TYPE_CHECKING:
    from mlops_dagster.monitoring import ValidationPolicy

validation = typer.Typer(no_args_is_help=True, help="The suites that batches are validated against.")


@validation.callback()
def _group() -> None:
    """Keep `validation` a group of commands, though it has one command so far."""


@validation.command()
@speaks
def suite(
    model: Model,
    policy: Annotated[
        Path | None, typer.Option(help="the model's defs.yaml, whose limits and suite are taken; else the defaults")
    ] = None,
    output: Annotated[Path | None, typer.Option(help="the file to write or replace; else it is printed")] = None,
) -> None:
    """Write the suite that is derived from the champion, as Great Expectations' JSON, to be edited.

    Put the file next to defs.yaml and name it there, `validation: {suite: suite.json}`: then it is used unchanged. If
    the file of --policy names a suite, that suite is written instead; exit code 1 and the reason if it cannot be used.
    """
    from mlops_dagster.monitoring.validation.suites import suite_of, suite_to_json

    champion = open_stores().champion(model)
    if champion is None or champion.schema is None:
        raise ModelNotFoundError(f"{model!r} has no champion with a schema to derive a suite from")
    limits, rows_per_observation = _read(policy) if policy is not None else _defaults()
    found = suite_of(champion.schema, champion.baseline, limits, rows_per_observation)
    text = suite_to_json(found)
    if output is None:
        typer.echo(text, nl=False)
        return
    write_text(output, text)
    say(f"{len(found.expectations)} expectations of {model} {champion.version} in {output}")


def _defaults() -> "tuple[ValidationPolicy, Mapping[str, float]]":
    from mlops_dagster.monitoring.validation.expectations import DEFAULTS, NOBODY_SHARES

    hint("its limits are the defaults; --policy defs.yaml takes those of the model")
    return DEFAULTS, NOBODY_SHARES


def _read(file: Path) -> "tuple[ValidationPolicy, Mapping[str, float]]":
    """Return the limits, and the rows per observation by feature; raises InvalidPolicyError."""
    from pydantic import ValidationError

    from mlops_dagster.monitoring import DriftPolicy, ValidationPolicy

    attributes = attributes_of(file)
    if not isinstance(attributes, dict) or "model" not in attributes:
        raise InvalidPolicyError(f"{file} is no defs.yaml: it has no `model` among its `attributes`")
    try:
        limits = ValidationPolicy.model_validate(attributes.get("validation") or {})
        drift = DriftPolicy.model_validate(attributes.get("drift") or {})
    except ValidationError as error:
        raise InvalidPolicyError(f"{file} is no policy: {fields_of(error)}; mend that") from error
    beside = None if limits.suite is None else file.parent / limits.suite
    return limits.model_copy(update={"suite": beside}), drift.rows_per_observation
