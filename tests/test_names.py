"""Names: each kind has one rule, and what keeps it is one thing to every store that we use."""

import re
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from mlops_dagster.components import ModelSpec
from mlops_dagster.errors import InvalidNameError
from mlops_dagster.names import (
    check_feature_name,
    check_model_name,
    fold_feature,
    fold_model,
    is_plain,
)
from mlops_dagster.predictions.encoded import encode_prediction
from mlops_dagster.registry import ModelRegistry
from tests.components.test_spec import GOOD
from tests.support.predictions.records import a_record

NO_MODELS = [
    *("", ".", "..", "../x", "a/b", "a\\b", "a b", "a.b", "a\n", "a\0", "-a", "_a", "a-", "a_", "a--b", "a__b", "a-_b"),
    *("ä", "ａ", "модель", "a" * 101, "a:b", "%2e", "*", "$HOME", "~", "a'b", "con", "NUL", "Com1", "\u200b", "\ud800"),
]


@pytest.mark.parametrize("name", NO_MODELS)
def test_what_some_store_reads_otherwise_names_no_model_anywhere(name: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidNameError, match="cannot name a model") as error:
        check_model_name(name)
    assert error.value.code == "invalid_name"
    with pytest.raises(InvalidNameError):
        ModelRegistry(f"sqlite:///{tmp_path}/mlops.sqlite").register(name, tmp_path)
    with pytest.raises(ValidationError):
        ModelSpec.model_validate(GOOD | {"model": name})
    with pytest.raises(InvalidNameError):
        encode_prediction(a_record(0, model=name))


@given(st.from_regex(r"[A-Za-z0-9]{1,9}([-_][A-Za-z0-9]{1,9}){0,3}", fullmatch=True))
def test_yaml_registry_and_log_take_the_same_names(name: str) -> None:
    try:
        check_model_name(name)
    except InvalidNameError:
        assert name.lower() in {"con", "prn", "aux", "nul"} or re.fullmatch("(com|lpt)[0-9]", name.lower())
        return
    assert ModelSpec.model_validate(GOOD | {"model": name}).model == name
    assert encode_prediction(a_record(0, model=name))
    assert re.fullmatch("[a-z0-9_]+", fold_model(name))
    assert "__" not in fold_model(name)


def test_a_model_or_version_that_is_another_one_to_some_store_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_text("weights")
    registry = ModelRegistry(f"sqlite:///{tmp_path}/home/mlops.sqlite")
    registry.register("card-fraud", tmp_path / "model.onnx", "1.0.0-rc")
    for twin in ("card_fraud", "Card-Fraud"):
        with pytest.raises(InvalidNameError, match="'card-fraud', which is registered"):
            registry.register(twin, tmp_path / "model.onnx")
    with pytest.raises(InvalidNameError, match=r"1\.0\.0-RC differs from 1\.0\.0-rc"):
        registry.register("card-fraud", tmp_path / "model.onnx", "1.0.0-RC")
    registry.register("card-fraud", tmp_path / "model.onnx", "1.0.0")
    registry.register("card-fraud2", tmp_path / "model.onnx")
    assert registry.models() == ["card-fraud", "card-fraud2"]


@pytest.mark.parametrize(
    "name",
    [
        *("", " ", " a", "a ", "a\n", "a\tb", "a\0", "\ud800", "a\u200b", "\u202ea", "\ufeffa", "a\u00a0b", "\u2028"),
        *("e\u0301", "gate__text", "gate__number", "label", "event_time", "x" * 201, "\U0001f469\u200d\U0001f52c"),
    ],
)
def test_what_nobody_sees_names_no_feature(name: str) -> None:
    with pytest.raises(InvalidNameError):
        check_feature_name(name)


@pytest.mark.parametrize(
    "name",
    ["sepal length (cm)", "é", "שדה", "温度", "\U0001f680", "a.b", "../a", "%20", "'; --", "`a`", "Label", "con"],
)
def test_what_one_can_see_names_a_feature(name: str) -> None:
    assert check_feature_name(name) == name


def test_names_that_lower_case_makes_one_are_folded_to_one() -> None:
    """As Delta and DuckDB do that: over all of Unicode."""
    for point in range(sys.maxunicode + 1):
        letter = chr(point)
        if letter.isprintable():
            assert fold_feature(letter) == fold_feature(letter.lower()), letter


@given(st.text(max_size=20))
def test_ids_are_plain_unless_a_store_refuses_them(text: str) -> None:
    plain = not any(ord(each) < 32 or 127 <= ord(each) < 160 or 0xD800 <= ord(each) < 0xE000 for each in text)
    assert is_plain(text) is plain
