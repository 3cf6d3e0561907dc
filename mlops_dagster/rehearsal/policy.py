"""Another policy for a model: sections of its YAML, replaced by those of a second file."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from pydantic import BaseModel, ValidationError

from mlops_dagster.components import ModelSpec
from mlops_dagster.documents.readable import fields_of
from mlops_dagster.errors import InvalidPolicyError
from mlops_dagster.loop.checks.checked_suites import with_suite

SECTIONS = (
    "training",
    "gates",
    "validation",
    "drift",
    "performance",
    "concept",
    "rollout",
    "retraining",
)
"""The sections of a `defs.yaml` that may differ between two rehearsals of one history."""


def with_policy(spec: ModelSpec, sections: Mapping[str, object], folder: Path) -> ModelSpec:
    """Return the model with the policies of `sections`, written as in a `defs.yaml` under `attributes`.

    A section replaces the model's section as a whole, and its missing fields have their defaults; sections that are not
    given stay as they are. A suite is a file relative to `folder`. Raises InvalidPolicyError.
    """
    given = {name: value for name, value in sections.items() if name in SECTIONS}
    if not given:
        raise InvalidPolicyError(f"the other policy has none of {', '.join(SECTIONS)}; write one as in defs.yaml")
    try:
        changed = ModelSpec.model_validate({**spec.model_dump(mode="json"), **given})
    except ValidationError as error:
        raise InvalidPolicyError(f"the other policy cannot be used: {fields_of(error)}; mend that") from error
    return with_suite(changed, folder)


def differences(one: ModelSpec, other: ModelSpec) -> dict[str, tuple[str, str]]:
    """Return the policies that differ: section.name, and both values as YAML would have them."""
    return {
        f"{section}.{name}": (str(first), str(second))
        for section in SECTIONS
        for name, first, second in _fields(getattr(one, section), getattr(other, section))
        if first != second
    }


def _fields(one: BaseModel, other: BaseModel) -> Iterator[tuple[str, object, object]]:
    first, second = one.model_dump(mode="json"), other.model_dump(mode="json")
    return ((name, value, second[name]) for name, value in first.items())


def unattended(spec: ModelSpec) -> ModelSpec:
    """Return the model without gates and retries that need people: a rehearsal has none to approve, sign or mend."""
    return spec.model_copy(
        update={
            "gates": spec.gates.model_copy(update={"approvers": (), "signature": False}),
            "retraining": spec.retraining.model_copy(update={"retries": 0}),
        }
    )
