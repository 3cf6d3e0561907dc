"""`dg check defs` says what a first run would fail on; a code location that only loads imports no trainer."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import dagster as dg
import pandas as pd
import pytest

from mlops_dagster.components import ModelLifecycle, ModelSpec
from mlops_dagster.errors import InvalidInputError
from mlops_dagster.monitoring import make_baseline
from mlops_dagster.schema import Feature, ModelSchema
from mlops_dagster.stores import Stores
from mlops_dagster.tasks import Classification

TRAINER = """
from sklearn.linear_model import LogisticRegression
from mlops_dagster.schema import Feature, ModelSchema
from mlops_dagster.tasks import Classification
SCHEMA = ModelSchema(features=(Feature(name="amount", kind="numeric"),), task=Classification(classes=(0, 1)))
def training_set(start, end): ...
def estimator(): return LogisticRegression()
"""
SPEC: dict[str, Any] = {
    "model": "my-model",
    "training": {"dataset": "mine"},
    "card": {"intended_use": "x", "failure_modes": ["y"], "contacts": ["z"], "fairness_attribute": "w"},
    "traffic": {"requests_per_day": 24_000, "label_delay_hours": 4},
}
Load = Callable[..., ModelLifecycle]


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    """Load a spec beside a trainer of that text, as `dg check defs` does, or else as the code location does."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("MLOPS_HOME", str(tmp_path / "home"))
    name = f"my_trainer_{tmp_path.name}"

    def load(text: str = TRAINER, *, check: bool = True, **changes: object) -> ModelLifecycle:
        monkeypatch.setenv("DAGSTER_IS_DEFS_VALIDATION_CLI", "1" if check else "")
        (tmp_path / f"{name}.py").write_text(text)
        sys.modules.pop(name, None)
        spec = ModelSpec.model_validate({**SPEC, "trainer": name, **changes})
        return ModelLifecycle.load(spec, cast("dg.ComponentLoadContext", SimpleNamespace(path=tmp_path)))

    return load


@pytest.mark.parametrize(
    ("text", "changes", "says"),
    [
        (TRAINER.replace("(0, 1)", "(0.5, 1)"), {}, "ValidationError: classes: .*0.5 is a float"),
        (TRAINER.replace("(start, end)", "()"), {}, r"write `def training_set\(start, end\):`"),
        (TRAINER + "import no_such_package", {}, "imports 'no_such_package', which is not installed here"),
        (TRAINER, {"batch_scores": True}, "lacks batch"),
        (
            TRAINER,
            {"drift": {"report_only": ["amuont"]}},
            "drift.report_only names 'amuont', and the features are: amount",
        ),
        (
            TRAINER,
            {"traffic": {"requests_per_day": 24_000, "label_delay_hours": 240}},
            "the steps 240.1 .* rollout.deadline_hours is 168; set it to more than",
        ),
    ],
)
def test_what_a_first_run_would_fail_on_is_said_by_the_check_and_does_not_keep_a_location_from_loading(
    text: str, changes: dict[str, object], says: str, load: Load
) -> None:
    load(check=False, text=text, **changes)
    with pytest.raises(InvalidInputError, match=f"(?s){says}"):
        load(text, **changes)


def test_a_sound_model_passes_with_a_suite_that_can_be_evaluated(load: Load, tmp_path: Path) -> None:
    between = {"type": "expect_column_values_to_be_between", "kwargs": {"column": "amount", "min_value": 0}}
    (tmp_path / "suite.json").write_text(json.dumps({"name": "mine", "expectations": [between]}))
    assert load(validation={"suite": "suite.json"}).spec.traffic is not None
    between["kwargs"] = {"column": "amount", "min_value": 9, "max_value": 0}
    (tmp_path / "suite.json").write_text(json.dumps({"name": "mine", "expectations": [between]}))
    with pytest.raises(InvalidInputError, match="min_value cannot be greater than max_value"):
        load(validation={"suite": "suite.json"})


def test_without_its_traffic_a_model_is_told_under_which_rate_its_rollout_proves_nothing(
    load: Load, caplog: pytest.LogCaptureFixture
) -> None:
    load(traffic=None)
    assert "With fewer than 1,841 requests a day no version is ever promoted" in caplog.text
    assert "`traffic: {requests_per_day: ..., label_delay_hours: ...}`" in caplog.text


def test_a_suite_that_what_the_champion_was_trained_on_would_fail_is_no_suite_for_its_hours(
    load: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    schema = ModelSchema(features=(Feature(name="amount", kind="numeric"),), task=Classification(classes=(0, 1)))
    amounts = pd.DataFrame({"amount": [float(row % 100) if row % 10 else None for row in range(5000)]})
    baseline = make_baseline(amounts, schema, scores=[0.5] * 5000, labels=["0", "1"] * 2500)
    champion = SimpleNamespace(version="1.2.0", schema=schema, baseline=baseline)
    monkeypatch.setattr(Stores, "champion", lambda *_: champion)

    def asking(kind: str, **kwargs: object) -> None:
        asked = {"type": f"expect_column_values_to_{kind}", "kwargs": {"column": "amount", **kwargs}}
        (tmp_path / "suite.json").write_text(json.dumps({"name": "mine", "expectations": [asked]}))

    def refused(*said: str) -> None:
        with pytest.raises(InvalidInputError) as found:
            load(validation={"suite": "suite.json"})
        assert all(each in found.value.message for each in said), found.value.message

    asking("be_between", min_value=0, max_value=40)
    load(validation={"suite": "suite.json"})  # no version was ever registered here, so there is nobody to ask
    (tmp_path / "home" / "mlops.sqlite").touch()
    refused("like those that the champion 1.2.0 was trained on", "amount: ", "are outside 0 to 40")
    asking("not_be_null", mostly=0.95)
    refused(" of 1000 values are missing; at most 5.0% may be")
    for kind, limits in (("be_between", {"min_value": 0, "max_value": 99}), ("not_be_null", {"mostly": 0.88})):
        asking(kind, **limits)
        load(validation={"suite": "suite.json"})
