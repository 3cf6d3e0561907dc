"""`mlops rehearse` in a project of a team's own, on a history of its own, under its policy and another one."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from mlops_dagster.cli import app
from mlops_dagster.errors import InvalidInputError, InvalidPolicyError, ModelNotFoundError, TrainingDataError
from mlops_dagster.rehearsal import Scenario, Summary, rehearse
from mlops_dagster.rehearsal.orchestrator.project import find_model
from mlops_dagster.rehearsal.policy import differences, with_policy
from tests.support.rehearsal.twin import DAYS_OF_TRAINING, FIRST, MODEL, PACKAGE, payments, write_project

START = FIRST + pd.Timedelta(days=DAYS_OF_TRAINING)
DAYS, A_DAY = 14 / 24, 1000


@dataclass(frozen=True)
class Project:
    folder: Path
    rows: pd.DataFrame
    """The history: what came after the trainer's first window."""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """A project that nobody has imported, as a shell in its folder has it."""
    folder = tmp_path_factory.mktemp("team")
    rows = payments(DAYS_OF_TRAINING + DAYS, A_DAY)
    write_project(folder, rows)
    path = list(sys.path)
    with pytest.MonkeyPatch.context() as here:
        here.chdir(folder)
        yield Project(folder, rows[rows["event_time"] >= START].reset_index(drop=True))
    sys.path[:] = path
    for name in [name for name in sys.modules if name.split(".")[0] == PACKAGE]:
        del sys.modules[name]


@pytest.fixture(scope="module")
def played(project: Project) -> tuple[str, Summary]:
    """What the command said, and what was played."""
    history, folder = project.rows, project.folder
    history.drop(columns=["label", "known_at"]).to_csv(folder / "requests.csv", index=False)
    history[["prediction_id", "label", "known_at"]].to_parquet(folder / "labels.parquet")
    files = ("--requests", "requests.csv", "--labels", "labels.parquet", "--home", "home")
    summaries = []
    with pytest.MonkeyPatch.context() as noted:
        noted.setattr(Summary, "write", lambda summary, path: summaries.append(summary))
        found = CliRunner().invoke(app, ["rehearse", "--model", MODEL, *files], env={"COLUMNS": "200"})
    assert found.exit_code == 0, found.output[-3000:] + str(found.exception)
    return found.output, summaries[0]


def test_every_request_is_answered_logged_and_labelled(project: Project, played: tuple[str, Summary]) -> None:
    summary = played[1]
    counts = [summary.recorded, summary.requests, summary.answered, summary.logged, summary.labelled]
    assert counts == [len(project.rows)] * 5
    assert summary.failed_runs == 0
    no_card, under_gate = (refusal.error for refusal in summary.refused)
    assert "a complete model card is required" in no_card
    assert "the quality gate promises micro-F1" in under_gate


def test_bad_releases_that_suit_the_table_look_good_and_are_rolled_back(played: tuple[str, Summary]) -> None:
    summary = played[1]
    assert [(each.what, each.fate.split(":")[0]) for each in summary.bad_releases] == [
        ("amount in other units (x 0.01)", "rolled back"),
        ("country with its codes mixed up", "rolled back"),
        ("labels in random order", "rolled back"),
    ]
    scores = [each.quality or 0 for each in summary.bad_releases]
    assert min(scores[:2]) > 0.9 > 0.8 > scores[2], "of labels in random order its own card knows"
    assert min(each.expected_loss or 0 for each in summary.bad_releases) > 0.1
    (promoted,) = summary.promotions
    serving = [each.version for each in summary.versions if each.final_stage == "Production"]
    assert serving == [promoted.version]
    feed = [(line.kind, line.rule, line.severity) for line in summary.alerts]
    assert feed.count(("info", "retraining_started", "info")) == 1 + len(summary.retrainings)
    assert feed.count(("info", "promoted", "info")) == 1
    assert [rule for kind, rule, _severity in feed if kind == "opened"].count("rolled_back") == len(summary.rollbacks)
    assert [line.at for line in summary.alerts] == sorted(line.at for line in summary.alerts)


def test_it_ends_with_the_tables_of_the_demo_and_the_command_for_its_pages(played: tuple[str, Summary]) -> None:
    said = played[0]
    for title in ("The life of", "Versions", "Bad releases of the rehearsal's making", "In the traffic", "What people"):
        assert title in said
    assert "dagster-webserver -w workspace.yaml" in said
    assert "a training window 5" in said


def test_the_same_history_is_played_under_another_policy_and_what_differs_is_said(
    project: Project, played: tuple[str, Summary], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = played[1]
    homes = []

    def play(scenario: Scenario, home: Path) -> Summary:
        homes.append(home.name)
        if scenario.policy is None:
            return first
        assert scenario.policy == {"rollout": {"shadow_hours": 36}}
        waiting = [replace(each, version=None, fate="not released") for each in first.bad_releases]
        return replace(first, rollbacks=[], bad_releases=waiting)

    monkeypatch.setattr("mlops_dagster.rehearsal.summary.comparing.rehearse", play)
    (project.folder / "other.yaml").write_text("rollout: {shadow_hours: 36}\n")
    command = ["rehearse", "--model", MODEL, "--requests", "requests.csv", "--policy", "other.yaml", "--home", "home"]
    found = CliRunner().invoke(app, command, env={"COLUMNS": "200"})
    assert found.exit_code == 0, found.output
    assert homes == ["home", "home-other-policy"]
    lines = [[cell.strip() for cell in line.split("│")[1:-1]] for line in found.output.splitlines() if "│" in line]
    assert ["rollout.shadow_hours", "1.0", "36.0"] in lines
    assert ["requests, answered, logged", *[" / ".join([str(first.recorded)] * 3)] * 2] in lines
    assert any(line[0] == "labels in random order" and line[1].startswith("rolled back") for line in lines)


def test_the_python_entry_takes_data_frames_and_refuses_what_cannot_be_played(project: Project) -> None:
    rows = project.rows
    for change, error, message in (
        ({"model": "nope"}, ModelNotFoundError, f"there is {MODEL}"),
        ({"project": project.folder / PACKAGE}, InvalidInputError, "there is no workspace.yaml in"),
        ({"requests": rows.drop(columns="age")}, InvalidInputError, "the columns ['age'] are missing"),
        ({"start": START + pd.Timedelta(days=400)}, InvalidInputError, "no request from 2027-02-10"),
        ({"policy": {"rolout": {}}}, InvalidPolicyError, "none of training, gates"),
        ({"policy": {"rollout": {"steps": [2.0]}}}, InvalidPolicyError, "steps"),
    ):
        with pytest.raises(error) as refused:
            rehearse(Scenario(**{"model": MODEL, "requests": rows, **change}), project.folder / "nothing")
        assert message in str(refused.value)
    assert not (project.folder / "nothing").exists()


def test_a_trainer_without_rows_from_before_the_history_is_told_with_the_way(project: Project) -> None:
    rows = payments(DAYS_OF_TRAINING + 5, 50)
    with pytest.raises(TrainingDataError) as refused:
        rehearse(Scenario(model=MODEL, requests=rows, start=FIRST + pd.Timedelta(days=2)), project.folder / "early")
    assert "has no rows of 2025-12-29 00:00 to 2026-01-01 00:00 UTC" in str(refused.value), "only what it is judged on"
    with pytest.raises(TrainingDataError) as refused:
        rehearse(Scenario(model=MODEL, requests=rows), project.folder / "early")
    assert "has no rows of 2025-12-27 00:00 to 2025-12-30 00:00 UTC" in str(refused.value)
    assert "--start 2026-01-07" in str(refused.value)


def test_a_section_of_another_policy_replaces_the_whole_section(project: Project) -> None:
    own = find_model(MODEL, project.folder).spec
    other = with_policy(own, {"rollout": {"bake_hours": 9}}, Path())
    changed = differences(own, other)
    assert changed["rollout.bake_hours"] == ("2.0", "9.0")
    assert changed["rollout.min_canary_hours"] == ("4.0", "48.0"), "the default: the section does not say it"
    assert {name.split(".")[0] for name in changed} == {"rollout"}
    assert differences(own, own) == {}
