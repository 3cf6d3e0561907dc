"""One rule for numbers: no model of the package takes, keeps or writes one that a store does not give back."""

import importlib
import inspect
import json
import math
import re
import types
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import dagster as dg
import orjson
import pytest
import yaml
from pydantic import BaseModel, TypeAdapter, ValidationError

import mlops_dagster
from mlops_dagster.documents.json_text import json_text
from mlops_dagster.documents.strict import LARGEST, StrictModel
from mlops_dagster.errors import InvalidInputError
from mlops_dagster.loop.spec import ModelSpec
from mlops_dagster.registry.entities.baseline import Baseline
from mlops_dagster.registry.entities.guard_and_hold import GuardPolicy
from mlops_dagster.rollout.entities import Rollout
from mlops_dagster.rollout.policy import RolloutPolicy
from mlops_dagster.settings import Settings

BAD = (
    *(math.nan, math.inf, -math.inf, "nan", "inf", "-Infinity", "1e999", "NaN"),
    *(yaml.safe_load(text) for text in (".inf", "-.inf", ".nan", ".NaN")),
    *(10**400, -(10**400), "9" * 400),
)
INEXACT = (10**30, LARGEST + 2, str(10**30), 2.0**60)
"""Bad where a whole number is asked for."""
EXTREME = (LARGEST, -LARGEST, 1e308, -1e308, 5e-324, -0.0, 0)


def all_models() -> list[type[BaseModel]]:
    """Every pydantic model that the package defines, but Dagster's own kinds."""
    found: dict[str, type] = {}
    root = Path(mlops_dagster.__file__).parent
    for file in root.rglob("*.py"):
        if re.search(
            r"^class \w+\(.*(Model|Settings|Card)\):|pydantic import.*BaseModel", file.read_text(), re.MULTILINE
        ):
            module = importlib.import_module(".".join(file.relative_to(root.parent).with_suffix("").parts))
            found |= {each.__name__: each for _, each in inspect.getmembers(module, inspect.isclass)}
    ours = (each for _, each in sorted(found.items()) if each.__module__.startswith("mlops_dagster."))
    return [each for each in ours if issubclass(each, BaseModel) and not issubclass(each, dg.Config)]


MODELS = all_models()


def shaped(annotation: object, number: object, *kinds: type) -> Iterator[object]:
    """Values of the annotated shape with `number` in place of each number of these kinds that it holds."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if annotation in kinds:
        yield number
    elif origin is Annotated:
        yield from shaped(inner[0], number, *kinds)
    elif origin in (Union, types.UnionType):
        for each in inner:
            yield from shaped(each, number, *kinds)
    elif origin is tuple:
        for place, each in enumerate(inner):
            for value in shaped(each, number, *kinds):
                yield [value] if inner[-1] is ... else [value if k == place else 0 for k in range(len(inner))]
    elif origin in (dict, Mapping):
        yield from ({"a": value} for value in shaped(inner[1], number, *kinds))
    else:
        assert origin in (None, Literal), f"teach this test {annotation!r}"


def numbers_of(model: type[BaseModel]) -> list[str]:
    return [name for name, field in model.model_fields.items() if [*shaped(field.annotation, 1, int, float)]]


def test_every_model_is_strict() -> None:
    assert [each for each in MODELS if not issubclass(each, StrictModel)] == [Settings]
    assert {"ModelSpec", "RolloutPolicy", "MaxRatios", "ProvableLoss", "GuardPolicy"} <= {
        each.__name__ for each in MODELS
    }
    assert sum(len(numbers_of(each)) for each in MODELS) > 80


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_no_field_takes_a_number_that_is_none(model: type[BaseModel]) -> None:
    for name in numbers_of(model):
        annotation = model.model_fields[name].annotation
        bad = [value for each in BAD for value in shaped(annotation, each, int, float)]
        for value in bad + [value for each in INEXACT for value in shaped(annotation, each, int)]:
            with pytest.raises(ValidationError) as refused:
                model.model_validate({name: value})
            places = {each["loc"][:1] for each in refused.value.errors()}
            assert (name,) in places, f"{model.__name__}.{name} takes {value!r:.60}"


def is_optional(model: type[BaseModel]) -> bool:
    return not any(field.is_required() for field in model.model_fields.values())


@pytest.mark.parametrize("model", filter(is_optional, MODELS), ids=lambda model: model.__name__)
def test_what_is_taken_can_be_used_and_comes_back_from_json(model: type[BaseModel]) -> None:
    for name in numbers_of(model):
        for extreme in EXTREME:
            for value in shaped(model.model_fields[name].annotation, extreme, int, float):
                try:
                    taken = model.model_validate({name: value})
                except ValidationError:
                    continue
                for member in (each for each, its in vars(model).items() if isinstance(its, property)):
                    getattr(taken, member)
                text = taken.model_dump_json()
                assert orjson.loads(text) == json.loads(text, parse_constant=pytest.fail)
                assert model.model_validate_json(text) == taken


def test_a_stored_policy_with_null_or_infinity_is_refused_by_name() -> None:
    stored: dict[str, Any] = json.loads(RolloutPolicy().model_dump_json())
    for bad in (None, "Infinity"):
        with pytest.raises(ValidationError, match="slow"):
            TypeAdapter(Rollout).validate_python(
                {"policy": {**stored, "max_ratio": {**stored["max_ratio"], "slow": bad}}}
            )
    with pytest.raises(ValidationError, match="stretch"):
        GuardPolicy.model_validate_json('{"mode": "log", "stretch": null}')


def test_yaml_with_an_infinite_limit_names_the_field() -> None:
    with pytest.raises(ValidationError, match=r"(?s)rollout\.max_ratio\.slow.*finite.*rollout\.slow_ms.*finite"):
        ModelSpec.model_validate(yaml.safe_load("rollout: {max_ratio: {slow: .inf}, slow_ms: .inf}"))


def test_evidence_may_be_infinite_and_is_strict_json() -> None:
    text = json_text({"peaks": [math.inf, -math.inf, {"x": math.nan}], "limit": 20.0})
    assert orjson.loads(text) == {"peaks": ["Infinity", "-Infinity", {"x": "NaN"}], "limit": 20.0}
    deep: list[object] = []
    for _ in range(10**5):
        deep = [deep]
    for bad in ({"a": object()}, deep, {1: "a", "b": 2}):
        with pytest.raises(InvalidInputError, match="cannot be kept as JSON"):
            json_text(bad)


@pytest.mark.parametrize("rows", [math.inf, math.nan, 0.5])
def test_a_design_effect_is_finite(rows: float) -> None:
    histogram = {"bins": {"kind": "numeric", "edges": [0.0]}, "counts": [1, 1, 0]}
    document = {"features": {}, "score": histogram, "label": histogram, "design_effects": {"x": {"rows": rows}}}
    with pytest.raises(InvalidInputError, match="design effect"):
        Baseline.from_json(document)
