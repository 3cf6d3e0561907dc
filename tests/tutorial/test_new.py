"""`mlops new`: what is read from a table, what is refused, and a project without one."""

import ast
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from bench.tutorial import cards, census, stream
from mlops_dagster.cli import app
from mlops_dagster.documents.yaml_files import read_yaml
from mlops_dagster.errors import InvalidInputError
from mlops_dagster.loop.spec import ModelSpec
from mlops_dagster.scaffold import describe
from mlops_dagster.scaffold.table import Table


def described(frame: pd.DataFrame) -> Table:
    return describe(frame, event_time="event_time", label="label")


def new(*arguments: str) -> str:
    found = CliRunner().invoke(app, ["new", *arguments])
    assert found.exit_code == 0, found.output
    return found.output


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_kinds_classes_and_groups_are_read_from_the_table() -> None:
    people, payments, visits = described(census(50)), described(cards(50)), described(stream(50))
    kinds = {each.name: each.kind for each in people.schema.features}
    numeric = {"age", "children", "relation"}
    assert kinds == {name: "numeric" if name in numeric else "categorical" for name in kinds}
    assert [each.schema.task.truths for each in (people, payments, visits)] == [
        ("0", "1"),
        ("fine", "fraud"),
        ("False", "True"),
    ]
    assert people.group.name == "sex"
    assert people.label_delay_hours is None
    assert 5.5 < (payments.label_delay_hours or 0) <= 6, "95 % of 1 to 6 hours"
    assert payments.group.split_at is not None, "there are only numbers"
    assert payments.left_out.keys() == {"known_at"}
    assert visits.commonest_share == pytest.approx(0.99, abs=0.01)
    assert visits.rows_per_day == pytest.approx(50, rel=0.01)


def test_rows_without_a_label_are_told_of_and_their_share_is_written(folder: Path) -> None:
    rows = census(50)
    rows.assign(label=rows["label"].where(rows.index % 5 > 0)).to_parquet("some.parquet")
    new("people-i-know", "--data", "some.parquet")
    assert "    min_label_share: 0.79\n" in Path("people-i-know/people_i_know/defs/model/defs.yaml").read_text()
    rows.assign(label=rows["label"].where(rows.index % 5 == 0)).to_parquet("few.parquet")
    found = CliRunner().invoke(app, ["new", "strangers", "--data", "few.parquet"])
    assert "20% of the rows have a label" in " ".join(found.stderr.split())


def test_days_that_differ_make_rows_count_for_fewer() -> None:
    rows = census(200, days=20)
    assert described(rows).rows_per_observation < 2
    stormy = (rows["event_time"].dt.day % 2).astype(bool)
    assert described(rows.assign(label=rows["label"].where(stormy, 1))).rows_per_observation > 10


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda rows: rows.drop(columns="label"), "no column 'label', but event_time, age"),
        (lambda rows: rows.assign(event_time=rows["event_time"].dt.tz_localize(None)), "dt.tz_localize('UTC')"),
        (lambda rows: rows.set_index("event_time"), "`frame.reset_index().to_parquet(...)`"),
        (lambda rows: rows.assign(label=None), "no row of the table has a 'label'"),
        (
            lambda rows: rows.assign(label=rows["label"] + 0.5),
            "neither texts, whole numbers nor booleans",
        ),
        (lambda rows: rows.assign(label=1), "needs two or more different classes"),
        (lambda rows: rows[["event_time", "label"]], "no column of the table is a feature"),
    ],
)
def test_a_table_that_no_model_can_learn_from_is_refused(change: object, said: str) -> None:
    assert callable(change)
    with pytest.raises(InvalidInputError) as refused:
        described(change(census(20)))
    assert said in str(refused.value)


def test_columns_of_other_names_and_odd_ones_are_taken_as_code(folder: Path) -> None:
    rng = np.random.default_rng(3)
    rows = census(50).rename(columns={"event_time": "came at", "label": "employed?", "school": 'the "school"'})
    rows["score"], rows["who"], rows["born"] = 1.0, [f"id{n}" for n in range(len(rows))], rows["came at"]
    rows["day"], rows["seconds"] = rows["came at"].dt.strftime("%Y-%m-%d"), np.arange(len(rows)) // 3
    rows["often"] = np.where(rng.random(len(rows)) < 0.1, None, rng.random(len(rows)) < 0.4)  # or neither
    rows = rows.sample(frac=1, random_state=0)
    rows.index = rows.index // 2  # a table need be neither in order nor numbered
    rows.to_parquet("people.parquet")
    said = new("work-force", "--data", "people.parquet", "--event-time", "came at", "--label", "employed?")
    assert "left out: 'who' (more than 1000 different texts" in said
    assert "left out: 'score' (no feature can be called score" in said
    assert "left out: 'born'" in said
    assert "'often'" not in said
    assert "left out: 'day' (dates, each of which comes and goes" in said
    assert "left out: 'seconds' (it only rises with the time" in said
    names: dict[str, object] = {"__file__": str(folder / "work-force" / "work_force" / "trainer.py")}
    exec((folder / "work-force" / "work_force" / "trainer.py").read_text(), names)  # noqa: S102  # what was written
    end = pd.Timestamp.now("UTC")
    training_set = names["training_set"]
    assert callable(training_set)
    found = training_set(end - pd.Timedelta(days=3), end)
    assert {"label", "event_time", 'the "school"', "sex"} <= set(found)
    assert len(found) == (rows["came at"] >= end - pd.Timedelta(days=3)).sum() > 100


def test_without_a_table_there_is_all_that_dagster_wants_and_a_trainer_to_fill_in(folder: Path) -> None:
    new("card-fraud")
    written = {str(path.relative_to("card-fraud")) for path in Path("card-fraud").rglob("*") if path.is_file()}
    assert {"workspace.yaml", "pyproject.toml", "card_fraud/definitions.py", "card_fraud/defs/shared.py"} <= written
    for file in Path("card-fraud").rglob("*.py"):
        ast.parse(file.read_text())
    (document,) = read_yaml(Path("card-fraud/card_fraud/defs/model/defs.yaml"))
    assert isinstance(document, dict)
    spec = ModelSpec.model_validate(document["attributes"])
    assert (spec.model, spec.trainer) == ("card-fraud", "card_fraud.trainer")
    assert "NotImplementedError" in Path("card-fraud/card_fraud/trainer.py").read_text()


@pytest.mark.parametrize(
    ("name", "said"),
    [("2fast", "begin with a letter"), ("json", "a module 'json' already"), ("class", "cannot name a project")],
)
def test_a_name_that_python_cannot_import_is_refused(folder: Path, name: str, said: str) -> None:
    found = CliRunner().invoke(app, ["new", name])
    assert found.exit_code == 1
    assert said in found.stderr
    assert not Path(name).exists()


def test_nothing_is_overwritten(folder: Path) -> None:
    new("mine-alone")
    found = CliRunner().invoke(app, ["new", "mine-alone"])
    assert found.exit_code == 1
    assert "is there already" in found.stderr
