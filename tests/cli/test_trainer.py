"""`mlops trainer check`: what a training run would fail on, in seconds."""

import json
from pathlib import Path

import pytest

from tests.support.program import Mlops

TRAINER = """
import numpy as np, pandas as pd
from sklearn.linear_model import LogisticRegression
from mlops_dagster.schema import Feature, ModelSchema
from mlops_dagster.tasks import Classification
SCHEMA = ModelSchema(features=(Feature(name="amount", kind="numeric"),), task=Classification(classes=(0, 1)))
def training_set(start, end):
    late = np.random.default_rng(0).random(3000) < 0.3
    times = pd.date_range(start, end, 3001, inclusive="left", tz="UTC")
    frame = pd.DataFrame({"amount": late * 3 + np.arange(3000) % 5, "label": late, "event_time": times})
    return frame.assign(shop=["a", "b"] * 1500)
def estimator(): return LogisticRegression()
"""
EXISTS = "expect_column_to_exist"
YAML = """
attributes:
  model: mine
  trainer: mine
  training: {dataset: mine, window_days: 30, evaluation_days: 10}
  card: {intended_use: x, failure_modes: [y], contacts: [z], fairness_attribute: shop}
  rollout: {steps: [0.1, 0.5], soak_hours: 6, min_canary_hours: 12, deadline_hours: 60}
  traffic: {requests_per_day: 24000}
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "defs.yaml").write_text(YAML)
    return tmp_path / f"trainer_of_{tmp_path.name}.py"


def test_a_label_that_is_no_class_and_then_all_that_is_well(module: Path, mlops: Mlops) -> None:
    module.write_text(TRAINER.replace('"label": late', '"label": late + 0.5'))
    refused = mlops("trainer", "check", module.stem, "--at", "2026-03-01")
    assert refused.exit_code == 1
    assert "3000 of 3000 values of 'label' are neither texts, whole numbers nor booleans" in refused.stderr

    module.with_stem(f"{module.stem}_b").write_text(TRAINER.replace('"label": late', '"label": late.astype(int)'))
    found = mlops("trainer", "check", f"{module.stem}_b", "--policy", "defs.yaml", "--at", "2026-03-01")
    assert found.exit_code == 0, found.stderr
    lines = " ".join(found.stdout.split())
    assert "1 feature, classes '0', '1'" in lines
    assert "3,000 rows of [2026-01-30, 2026-03-01)" in lines
    assert "always the same answers: promote after 60 hours" in lines
    assert "10 points worse: rollback" in lines

    between = {"type": "expect_column_values_to_be_between", "kwargs": {"column": "amount", "max_value": 5}}
    (module.parent / "suite.json").write_text(json.dumps({"name": "mine", "expectations": [between]}))
    (module.parent / "defs.yaml").write_text(f"{YAML}  validation: {{suite: suite.json}}\n")
    arguments = ("trainer", "check", f"{module.stem}_b", "--policy", "defs.yaml", "--at", "2026-03-01")
    assert "the rows fail their suite: amount: " in mlops(*arguments).stderr
    of_hours = [{**between, "meta": {"batches": ["hour"]}}, {"type": EXISTS, "kwargs": {"column": "amount"}}]
    (module.parent / "suite.json").write_text(json.dumps({"name": "mine", "expectations": of_hours}))
    told = mlops(*arguments)
    assert told.exit_code == 0, told.stderr
    assert "14 of 24 hours of the last day pass: amount: 1 of 5 values are outside any to 5" in told.stdout

    late = mlops("trainer", "check", f"{module.stem}_b", "--per-day", "24000", "--label-delay-hours", "240")
    assert late.exit_code == 1
    assert "the steps 240.1 + 240.1 + 240.1 + 240.1" in late.stderr
