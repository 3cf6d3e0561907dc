"""`mlops validation`: the suites that batches are validated against."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mlops_dagster.cli.arguments import Model
from mlops_dagster.cli.output import hint, say, write_text
from mlops_dagster.cli.running import attributes_of, open_stores, speaks
from mlops_dagster.documents.readable import fields_of
from mlops_dagster.documents.texts import counted
from mlops_dagster.errors import InvalidPolicyError, ModelNotFoundError

if TYPE_CHECKING:
    from great_expectations import ExpectationSuite

    from mlops_dagster.registry import Baseline, ModelPolicies
    from mlops_dagster.schema import ModelSchema

validation = typer.Typer(no_args_is_help=True, help="The suites that batches are validated against.")


@validation.callback()
def _group() -> None:
    """Keep `validation` a group of commands, though it has one command so far."""


@validation.command()
@speaks
def suite(
    model: Model,
    policy: Annotated[
        Path | None, typer.Option(help="a defs.yaml whose limits and suite are taken instead of the published ones")
    ] = None,
    output: Annotated[Path | None, typer.Option(help="the file to write or replace; else it is printed")] = None,
) -> None:
    """Write the suite of the model's policies in the registry, as Great Expectations' JSON, to be edited.

    Without a suite of people's own it is derived from the champion. Put the file next to defs.yaml and name it there,
    `validation: {suite: suite.json}`: then it is used unchanged. With --policy a defs.yaml is tried before it is
    published; exit code 1 and the reason if its suite cannot be used.
    """
    from mlops_dagster.monitoring.validation.expectations.document import suite_to_json

    stores = open_stores()
    champion = stores.champion(model)
    if champion is None or champion.schema is None:
        raise ModelNotFoundError(f"{model!r} has no champion with a schema to derive a suite from")
    if policy is None:
        published = stores.registry.policies(model)
        hint(f"its limits: {published.origin}")
        found = _published(published, champion.schema, champion.baseline)
    else:
        found = _tried(policy, champion.schema, champion.baseline)
    text = suite_to_json(found)
    if output is None:
        typer.echo(text, nl=False)
        return
    write_text(output, text)
    say(f"{counted(len(found.expectations), 'expectations')} of {model} {champion.version} in {output}")


def _published(policies: "ModelPolicies", schema: "ModelSchema", baseline: "Baseline | None") -> "ExpectationSuite":
    """Return the suite that the policies have, or that is derived by their limits; raises InvalidSuiteError."""
    from mlops_dagster.monitoring import DriftPolicy, ValidationPolicy, suite_for
    from mlops_dagster.monitoring.validation.expectations.document import parse_suite

    limits = policies.section("validation", ValidationPolicy)
    if limits.suite is not None:
        return parse_suite(policies.sections.get("suite"), schema, str(limits.suite))
    shared = policies.section("drift", DriftPolicy).rows_per_observation
    return suite_for(schema, baseline, policy=limits, rows_per_observation=shared)


def _tried(file: Path, schema: "ModelSchema", baseline: "Baseline | None") -> "ExpectationSuite":
    """Return the suite by the limits of a file; raises InvalidPolicyError and InvalidSuiteError."""
    from pydantic import ValidationError

    from mlops_dagster.monitoring import DriftPolicy, ValidationPolicy
    from mlops_dagster.monitoring.validation.expectations.document import suite_of

    attributes = attributes_of(file)
    if not isinstance(attributes, dict) or "model" not in attributes:
        raise InvalidPolicyError(f"{file} is not a defs.yaml: it has no `model` among its `attributes`")
    try:
        limits = ValidationPolicy.model_validate(attributes.get("validation") or {})
        drift = DriftPolicy.model_validate(attributes.get("drift") or {})
    except ValidationError as error:
        raise InvalidPolicyError(f"{file} is not a policy: {fields_of(error)}; mend that") from error
    beside = None if limits.suite is None else file.parent / limits.suite
    return suite_of(schema, baseline, limits.model_copy(update={"suite": beside}), drift.rows_per_observation)
