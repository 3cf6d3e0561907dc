"""The training assets on made-up rows: what checked the data and what the audit found stand on the card."""

import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType

import dagster as dg
import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder

from mlops_dagster.alerting import Severity
from mlops_dagster.components import Platform
from mlops_dagster.components.assets.training import training_defs
from mlops_dagster.errors import TrainingDataError
from mlops_dagster.loop.spec import CardSpec, ModelSpec, TrainingSpec
from mlops_dagster.monitoring import DriftPolicy
from mlops_dagster.registry import PAIRED, EvaluationSlice, GatePolicy
from mlops_dagster.retraining.policy import RetrainingPolicy
from mlops_dagster.retraining.trainer import read_training_set
from mlops_dagster.schema import Feature, ModelSchema
from tests.support.components.at_a_time import cells

END = datetime(2013, 3, 1, tzinfo=UTC)


def training_set(start: datetime, end: datetime) -> pd.DataFrame:
    generator = np.random.default_rng(0)
    late = generator.random(800) < 0.4
    return pd.DataFrame(
        {
            "delay": np.where(late, 40.0, 0.0) + generator.normal(0, 12, 800),
            "carrier": generator.choice(["AA", "UA", "HA"], 800, p=[0.5, 0.48, 0.02]),
            "origin": generator.choice(["JFK", "LGA"], 800),
            "label": np.where(late, "late", "on_time"),
            "event_time": start + (end - start) / 800 * np.arange(800),
        }
    )


def estimator() -> Pipeline:
    encode = make_column_transformer((OneHotEncoder(), ["carrier", "origin"]), remainder="passthrough")
    return make_pipeline(encode, LogisticRegression())


@pytest.fixture
def trainer(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A module as a team writes one."""
    module = ModuleType("made_up_trainer")
    kinds = {"delay": "numeric", "carrier": "categorical", "origin": "categorical"}
    module.SCHEMA = ModelSchema.model_validate(
        {"features": [Feature(name=n, kind=k) for n, k in kinds.items()], "task": {"classes": ("on_time", "late")}}
    )
    module.training_set = training_set
    module.estimator = estimator
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return module


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


def train(
    home: Path,
    instance: dg.DagsterInstance,
    drift: DriftPolicy | None = None,
    gates: GatePolicy | None = None,
    retries: int = 2,
) -> tuple[dg.ExecuteInProcessResult, Platform]:
    spec = ModelSpec(
        model="made-up",
        trainer="made_up_trainer",
        training=TrainingSpec(dataset="made up"),
        card=CardSpec(
            intended_use="Tests.",
            failure_modes=("storms",),
            contacts=("team:mlops",),
            fairness_attribute=("carrier", "origin"),
            fairness_note="Small carriers cannot be judged.",
        ),
        drift=drift or DriftPolicy(),
        gates=gates or GatePolicy(),
        retraining=RetrainingPolicy(retries=retries),
    )
    platform = Platform(home=str(home))
    job = dg.Definitions.merge(training_defs(spec), dg.Definitions(resources={"platform": platform})).resolve_job_def(
        "made_up_retrain"
    )
    config = {"ops": {"made_up__training_set": {"config": {"as_of": END.isoformat()}}}}
    return job.execute_in_process(run_config=config, raise_on_error=False, instance=instance), platform


def test_the_card_holds_what_was_checked_and_counted(
    tmp_path: Path, trainer: ModuleType, instance: dg.DagsterInstance
) -> None:
    result, platform = train(tmp_path, instance, gates=GatePolicy(min_micro_f1=0.999))
    assert result.success
    gates = next(each for each in result.get_asset_check_evaluations() if each.check_name == "gates_open")
    assert not gates.passed
    assert "promises micro-F1 >= 0.999" in str(gates.description), "the first version is held against its own YAML"
    (version,) = platform.stores().versions("made-up")
    card = version.card
    assert card is not None
    assert card.missing() == ()
    assert card.validation is not None
    assert (card.validation.passed, card.validation.rows, card.validation.failures) == (True, 800, ())
    assert card.validation.expectations > 5
    assert card.validation.suite == f"schema-{trainer.SCHEMA.digest[:12]}"
    held_out = training_set(END - timedelta(days=60), END)["event_time"] >= END - timedelta(days=14)
    assert isinstance(card.overall, EvaluationSlice)
    assert card.overall.rows == held_out.sum()
    assert version.baseline is not None
    assert {"wrong", "wrong carrier=AA", "wrong origin=JFK"} <= version.baseline.design_effects.keys()
    assert {name: sum(cells.rows) for name, cells in version.baseline.evaluated.items()} == dict.fromkeys(
        ("delay", "carrier", "origin"), card.overall.rows
    )
    wrong = sum(n for true, row in card.overall.counts.items() for predicted, n in row.items() if predicted != true)
    assert sum(version.baseline.evaluated["carrier"].wrong) == wrong
    days = version.baseline.evaluated_days
    assert (len(days), sum(bad for bad, _ in days), sum(rows for _, rows in days)) == (14, wrong, card.overall.rows)
    assert card.provable is not None
    assert card.provable.drift.evaluated_days == 14
    assert "with 14 days of evaluation" in card.provable.lines[0]
    carrier, origin = card.fairness
    assert (carrier.attribute, carrier.positive, origin.attribute) == ("carrier", "late", "origin")
    assert carrier.left_out["accuracy"] == ("HA",)
    assert {audit.note for audit in card.fairness} == {"Small carriers cannot be judged."}

    (materialization,) = result.asset_materializations_for_node("made_up__model_card")
    metadata = {name: value.value for name, value in materialization.metadata.items()}
    assert metadata["card"] == card.to_markdown()
    assert metadata["state"] == "complete"
    assert cells(metadata["can_prove"]) == [[line] for line in card.provable.lines]
    assert [row[0] for row in cells(metadata["fairness_gaps"])] == ["carrier", "origin"]
    low, high = card.overall.intervals["micro_f1"]
    assert metadata["micro_f1_interval"] == f"{low:.4f} to {high:.4f}"


def test_a_training_set_is_held_against_the_champion_it_may_follow(
    tmp_path: Path, trainer: ModuleType, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the first one only the schema is known; other units in the next are not fitted on. Drift is."""
    first, platform = train(tmp_path, instance)
    (materialization,) = first.asset_materializations_for_node("made_up__training_set")
    page = Path(str(materialization.metadata["data_docs"].value))
    assert page.parent == tmp_path / "artifacts" / "data_docs" / "made-up" / "training_set"
    assert "made-up/training_set/2013-03-01T00" in page.read_text()
    stores = platform.stores()
    stores.registry.transition(stores.versions("made-up")[0], "Production")

    rows = training_set(END - timedelta(days=60), END)
    monkeypatch.setattr(trainer, "training_set", lambda start, end: rows.assign(delay=rows["delay"] * 60))
    seconds, _ = train(tmp_path, instance)
    assert not seconds.success
    (check,) = seconds.get_asset_check_evaluations()
    assert "delay" in str(cells(check.metadata["failures"]))
    assert "delay" in str(check.description)
    monkeypatch.setattr(trainer, "training_set", lambda start, end: rows.assign(delay=rows["delay"] + 30))
    assert train(tmp_path, instance)[0].success


def test_what_is_in_doubt_stands_on_the_card(
    tmp_path: Path, trainer: ModuleType, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A share over its limit that chance explains: 44 of 800 where 40 may be missing, of the champion's none."""
    _, platform = train(tmp_path, instance)
    stores = platform.stores()
    stores.registry.transition(stores.versions("made-up")[0], "Production")
    rows = training_set(END - timedelta(days=60), END)
    rows.loc[rows.index[::19], "carrier"] = None
    rows.loc[rows.index[1], "carrier"] = None
    monkeypatch.setattr(trainer, "training_set", lambda start, end: rows)
    encode = make_column_transformer((OneHotEncoder(handle_unknown="ignore"), ["carrier"]))
    monkeypatch.setattr(trainer, "estimator", lambda: make_pipeline(encode, LogisticRegression()))
    result, _ = train(tmp_path, instance)
    assert result.success
    card = platform.stores().versions("made-up")[1].card
    assert card is not None
    assert card.validation is not None
    (doubt,) = card.validation.doubts
    assert doubt.startswith("carrier: 44 of 800 values are missing; at most 5.0% may be, by chance ")
    assert f"In doubt: {doubt}" in " ".join(card.to_markdown().split())


@pytest.mark.parametrize("kind", ["Int64", "Float64", "float32"])
def test_an_estimator_is_fitted_on_numbers_as_it_will_be_asked_with_them(
    kind: str, trainer: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a nullable column scikit-learn would say that `pandas.NA` is no number."""
    rows = training_set(END - timedelta(days=60), END).assign(delay=lambda frame: frame["delay"].round().astype(kind))
    rows.loc[3, "delay"] = None
    monkeypatch.setattr(trainer, "training_set", lambda start, end: rows)
    delay = read_training_set("made_up_trainer", END - timedelta(days=60), END)["delay"]
    assert (delay.dtype, int(delay.isna().sum())) == (np.float64, 1)


@pytest.mark.parametrize("kind", ["float64", "float32", "Float64"])
@pytest.mark.parametrize("infinity", [np.inf, -np.inf])
def test_infinite_values_are_refused_with_their_column_and_number(
    infinity: float, kind: str, trainer: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = training_set(END - timedelta(days=60), END)
    rows.loc[:2, "delay"] = infinity
    monkeypatch.setattr(trainer, "training_set", lambda start, end: rows.astype({"delay": kind}))
    with pytest.raises(TrainingDataError, match=r"made_up_trainer: 3 of 800 values of 'delay' are infinite; give null"):
        read_training_set("made_up_trainer", END - timedelta(days=60), END)


@pytest.mark.parametrize(
    "drift", [DriftPolicy(report_only=("dalay",)), DriftPolicy(rows_per_observation={"dalay": 20})]
)
def test_a_policy_of_a_feature_that_there_is_not_is_told_once(
    drift: DriftPolicy, tmp_path: Path, trainer: ModuleType, instance: dg.DagsterInstance
) -> None:
    result, platform = train(tmp_path, instance, drift)
    assert not result.success
    (alert,) = platform.stores().alerts.list("made-up")
    assert alert.severity is Severity.CRITICAL  # no retry would better it
    assert "names 'dalay', and the features are: delay, carrier" in alert.summary


def test_rows_that_fail_the_suite_stop_the_run(
    tmp_path: Path, trainer: ModuleType, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = training_set(END - timedelta(days=60), END).assign(label="unknown")
    monkeypatch.setattr(trainer, "training_set", lambda start, end: broken)
    result, platform = train(tmp_path, instance)
    assert not result.success
    (check,) = result.get_asset_check_evaluations()
    assert not check.passed
    ((failure,),) = cells(check.metadata["failures"])
    assert "label" in str(failure)
    assert check.description == f"{failure}; no version is trained on these {len(broken):,} rows"
    assert platform.stores().versions("made-up") == []


def test_a_candidate_is_judged_beside_the_champion_and_says_what_its_rows_are_worth(
    tmp_path: Path, trainer: ModuleType, instance: dg.DagsterInstance
) -> None:
    """The first has no champion beside it; the second has; the third's cannot be loaded, and that stops nothing."""
    first, platform = train(tmp_path, instance)
    stores = platform.stores()
    stores.registry.transition(stores.versions("made-up")[0], "Production")
    second, _ = train(tmp_path, instance)
    for lost in (tmp_path / "artifacts").rglob(f"*{stores.versions('made-up')[0].digest}*"):
        lost.unlink()
    third, _ = train(tmp_path, instance)

    versions = stores.versions("made-up")
    assert [result.success for result in (first, second, third)] == [True] * 3
    paired = [version.baseline.design_effects.get(PAIRED) for version in versions if version.baseline]
    assert [effect is not None for effect in paired] == [False, True, False]
    cards = [version.card.shared_days for version in versions if version.card]
    assert cards[0] == ""
    assert cards[1].endswith("rows count as one observation when compared with the champion (1.0.0; from 14 days).")
    assert "is not known: the champion 1.0.0 cannot score the evaluated rows: " in cards[2]
    shown = [
        materialization.metadata["beside_champion"].value
        for result in (first, second, third)
        for materialization in result.asset_materializations_for_node("made_up__candidate")
    ]
    assert shown == ["There is no champion yet to be compared with.", *cards[1:]]
