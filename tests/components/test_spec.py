"""What a `defs.yaml` may say: what could only fail later, at a retraining or before a gate, is refused with its key."""

from pathlib import Path
from types import SimpleNamespace
from typing import cast

import dagster as dg
import pytest
import yaml
from jsonschema import Draft202012Validator
from pydantic import BaseModel, ValidationError

from mlops_dagster.components import ModelLifecycle, ModelSpec
from mlops_dagster.errors import InvalidInputError

GOOD = {
    "model": "my-model",
    "trainer": "json",
    "owners": ["team:mine", "me@example.org"],
    "training": {"dataset": "mine", "window_days": 15},
    "card": {"intended_use": "x", "failure_modes": ["y"], "contacts": ["z"], "fairness_attribute": "w"},
}


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("training.evaluation_days", 15),  # nothing is left to fit on
        ("training.window_days", 10**9),  # before the year 1
        ("card.intended_use", " "),
        ("card.failure_modes", []),
        ("card.fairness_attribute", []),
        ("owners", ["mine"]),
        ("owners", ["me@example"]),
        ("trainer", "my/trainer.py"),
        ("retraining.cooldown_days", float("inf")),
        ("retraining.max_hours", float("inf")),
        ("retraining.retry_minutes", float("nan")),
        ("retraining.cadence", "daily"),
    ],
)
def test_what_could_only_fail_later_is_refused_with_its_key(place: str, value: object) -> None:
    ModelSpec.model_validate(GOOD)
    *parents, key = place.split(".")
    inner = {**GOOD.get(parents[0], {}), key: value} if parents else value  # type: ignore[dict-item]
    with pytest.raises(ValidationError) as refused:
        ModelSpec.model_validate(GOOD | {place.partition(".")[0]: inner})
    assert key in str(refused.value)


def test_min_rows_means_independent_rows_in_every_policy() -> None:
    """What counts rows one by one has another name."""
    policies = {key: field.annotation for key, field in ModelSpec.model_fields.items()}
    found = {
        key: of.model_fields["min_rows"].description
        for key, of in policies.items()
        if isinstance(of, type) and issubclass(of, BaseModel) and "min_rows" in of.model_fields
    }
    assert set(found) == {"drift", "concept", "validation"}
    assert all(said is not None and said.startswith("independent rows") for said in found.values()), found
    with pytest.raises(ValidationError, match="min_rows"):
        ModelSpec.model_validate(GOOD | {"performance": {"min_rows": 100}})


def test_off_is_a_word_though_yaml_reads_it_as_false() -> None:
    """The JSON schema, which `dg check yaml` goes by, knows that too."""
    written = yaml.safe_load("{retraining: {cadence: off}, validation: {guard: off}}")
    spec = ModelSpec.model_validate(GOOD | written)
    assert (spec.retraining.cadence, spec.validation.guard) == (None, "off")
    Draft202012Validator(ModelSpec.model_json_schema()).validate(GOOD | written)
    assert ModelSpec.model_validate(GOOD | {"retraining": {"cadence": None}}).retraining.cadence is None
    with pytest.raises(ValidationError, match=r"weekly, monthly, or null .* got True"):
        ModelSpec.model_validate(GOOD | yaml.safe_load("retraining: {cadence: on}"))


@pytest.mark.parametrize("name", ["json.nowhere", "nowhere.trainer", "nowhere"])
def test_a_trainer_that_is_nowhere_is_refused_when_the_yaml_is_loaded(name: str, tmp_path: Path) -> None:
    context = cast("dg.ComponentLoadContext", SimpleNamespace(path=tmp_path))
    ModelLifecycle.load(ModelSpec.model_validate(GOOD), context)
    with pytest.raises(InvalidInputError, match=f"no module '{name}'.*`trainer` in defs.yaml"):
        ModelLifecycle.load(ModelSpec.model_validate(GOOD | {"trainer": name}), context)
