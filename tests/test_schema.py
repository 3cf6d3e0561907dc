"""Schemas: what no feature can be called."""

import pytest
from pydantic import ValidationError

from mlops_dagster.schema import Feature, ModelSchema


@pytest.mark.parametrize("name", ["event_time", "label", "score", "wrong"])
def test_a_feature_takes_the_name_of_nothing_beside_it(name: str) -> None:
    """Its counts would be taken for those of the score, its values for the labels."""
    with pytest.raises(ValidationError, match=f"no feature can be called {name}"):
        ModelSchema(features=(Feature(name=name, kind="numeric"),), classes=("fine", "fraud"))
