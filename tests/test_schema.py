"""Schemas: what no feature can be called."""

import unicodedata
from pathlib import Path

import pytest
from pydantic import ValidationError

from mlops_dagster.registry import ModelRegistry
from mlops_dagster.schema import Feature, ModelSchema
from mlops_dagster.tasks import Classification
from tests.support.servable import constant


@pytest.mark.parametrize("name", ["event_time", "label", "paired", "score", "wrong"])
def test_a_feature_takes_the_name_of_nothing_beside_it(name: str) -> None:
    """Its counts would be taken for those of the score, its values for the labels."""
    with pytest.raises(ValidationError, match=f"no feature can be called {name}"):
        ModelSchema(features=(Feature(name=name, kind="numeric"),), task=Classification(classes=("fine", "fraud")))


@pytest.mark.parametrize(("one", "other"), [("a", "a"), ("gate", "ｇate"), ("\N{KELVIN SIGN}", "K")])
def test_two_features_of_one_look_are_refused(one: str, other: str) -> None:
    features = tuple(Feature(name=unicodedata.normalize("NFC", name), kind="numeric") for name in (one, other))
    with pytest.raises(ValidationError, match="looks the same"):
        ModelSchema(features=features, task=Classification(classes=("fine", "fraud")))


@pytest.mark.parametrize("name", ["", " ", "a\nb", "\0", "\ud800"])
def test_a_class_that_no_label_can_name_is_refused(name: str) -> None:
    with pytest.raises(ValidationError, match="cannot name a class"):
        ModelSchema(features=(Feature(name="a", kind="numeric"),), task=Classification(classes=("fine", name)))


def test_a_version_registered_before_that_can_be_read_with_its_neighbours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLOPS_HOME", str(tmp_path / "home"))
    before = ModelSchema.model_construct(
        features=(Feature(name="score", kind="numeric"),), task=Classification(classes=("fine", "fraud"))
    )
    ModelRegistry().register("cards", constant(before), "1.0.0", schema=before)
    assert [version.schema for version in ModelRegistry().list("cards")] == [before]
