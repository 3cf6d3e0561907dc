"""The commands of `mlops rollouts`, on a rollout that has seen nothing but decisions."""

import json
import sqlite3
from datetime import timedelta
from pathlib import Path

import pytest

from mlops_dagster.clock import ReplayedClock
from mlops_dagster.registry import ModelRegistry
from mlops_dagster.rollout import RolloutPolicy
from mlops_dagster.settings import Settings
from mlops_dagster.stores import Stores
from tests.support.program import START, Mlops

POLICY = RolloutPolicy(shadow_hours=0, rows_per_observation=1)


@pytest.fixture
def rollout(fleet: ModelRegistry) -> int:
    """Of the canary, 1.2.0, with two decisions; the id of the last."""
    for hours in (1, 3):
        stores = Stores(Settings(), ReplayedClock(START + timedelta(hours=hours)), actor="ada")
        last = stores.controller(lambda _: POLICY).tick("churn")
    assert last is not None
    return last.id


def lines(text: str) -> list[str]:
    return [" ".join(line.split()) for line in text.splitlines()]


def test_a_decision_is_explained(rollout: int, mlops: Mlops) -> None:
    found = lines(mlops("rollouts", "explain", rollout).stdout)
    assert found[0] == "decision 2 of rollout 1: hold"
    assert found[1].startswith("why step 2 of 4 (0.05): ")
    assert "model churn 1.2.0 against 1.0.0" in found
    assert "stood at canary, step 2 of 4, 5 %, since 2026-01-01 00:00" in found
    assert "without label canary 0, champion 0, pairs 0" in found
    (paired,) = (line for line in found if line.startswith("paired.not_worse"))
    assert paired.startswith("paired.not_worse open 1 20 1 the first paired labels accuracy at most 0.02 under")
    assert mlops("rollouts", "explain", "--rollout", 1).stdout == mlops("rollouts", "explain", rollout).stdout


def test_a_decision_is_explained_to_programs(rollout: int, mlops: Mlops) -> None:
    found = json.loads(mlops("rollouts", "explain", rollout, "--json").stdout)
    assert (found["id"], found["outcome"], found["origin"]) == (2, "hold", "evidence")
    assert found["needed"]["paired.superior"] == "the first paired labels"
    assert found["without_label"] == {"canary": 0, "champion": 0, "pairs": 0}
    assert {"claim", "observed", "e_value", "limit", "p", "verdict"} < set(found["tests"][0])


def test_decisions_are_replayed(rollout: int, mlops: Mlops) -> None:
    whole = mlops("rollouts", "replay", "--rollout", 1)
    assert whole.exit_code == 0
    assert [line.endswith("the same to the bit") for line in lines(whole.stdout)[2:]] == [True, True]
    one = json.loads(mlops("rollouts", "replay", rollout, "--json").stdout)
    assert [(each["id"], each["same"], each["differences"]) for each in one] == [(2, True, [])]


def test_a_changed_decision_is_found_out(rollout: int, mlops: Mlops) -> None:
    with sqlite3.connect(Settings().home / "mlops.sqlite") as database:
        database.execute('update decisions set body = replace(body, \'"outcome":"hold"\', \'"outcome":"promote"\')')
    database.close()
    found = mlops("rollouts", "replay", rollout)
    assert found.exit_code == 1
    assert "outcome: promote stored, hold now" in found.stdout


@pytest.mark.parametrize("nesting", ["", "rollout:\n", "attributes:\n  model: churn\n  rollout:\n"])
def test_another_policy_is_held_against_the_history(rollout: int, mlops: Mlops, tmp_path: Path, nesting: str) -> None:
    other = tmp_path / "other.yaml"
    policy = "deadline_hours: 2\nshadow_hours: 0\nsoak_hours: 0\nmin_canary_hours: 1\n"
    indent = " " * 4 * bool(nesting)
    other.write_text(nesting + "".join(f"{indent}{line}\n" for line in policy.splitlines()))
    found = mlops("rollouts", "replay", "--rollout", 1, "--policy", other)
    assert found.exit_code == 0
    assert "It parts from what was decided at decision 2." in found.stdout
    assert lines(found.stdout)[3].startswith(
        "2 2026-01-01 03:00 hold canary, step 2 of 4, 5 % give_up surely at the deadline 2026-01-01 03:00: "
    )
    assert "not told by this history: after the first other decision" in found.stderr
    document = json.loads(mlops("rollouts", "replay", rollout, "--policy", other, "--json").stdout)
    assert [(each["outcome"], each["would_be"]) for each in document["looks"]] == [
        ("hold", "hold"),
        ("hold", "give_up"),
    ]


@pytest.mark.parametrize("text", ["steps: [0.5, 0.1]", "just a word", "{"])
def test_what_is_no_policy_is_refused(rollout: int, mlops: Mlops, tmp_path: Path, text: str) -> None:
    (tmp_path / "other.yaml").write_text(text)
    found = mlops("rollouts", "replay", rollout, "--policy", tmp_path / "other.yaml")
    assert (found.exit_code, found.stdout) == (1, "")
    assert found.stderr.startswith("error (invalid_policy): ")
    assert found.stderr.count("\n") == 1


def test_status_says_where_it_stands(
    rollout: int, fleet: ModelRegistry, mlops: Mlops, monkeypatch: pytest.MonkeyPatch
) -> None:
    epoch = fleet.deployment("churn").epoch
    fleet.acknowledge("churn", "worker-1", epoch)
    fleet.acknowledge("churn", "worker-2", epoch - 1)
    for gone in (epoch - 1, epoch):
        fleet.acknowledge("churn", "worker-gone", gone)
    for there in ("worker-1", "worker-2"):
        fleet.beat(there)
    found = lines(mlops("rollouts", "status", "churn").stdout)
    assert found[:2] == [
        "rollout 1: churn 1.2.0 against 1.0.0",
        "stands at canary, step 2 of 4, 5 %, since 2026-01-01 00:00",
    ]
    assert f"in force epoch {epoch}: champion 1.0.0, canary 1.2.0 at 5 %, shadows 1.3.0-rc.1" in found
    assert f"workers 1 serve epoch {epoch}; behind: worker-2 at {epoch - 1}" in found
    assert any(line.startswith("decided last hold, 2026-01-01 03:00: step 2 of 4") for line in found)
    assert "mlops rollouts explain 2" in found
    assert any(line.startswith("now give_up: at the deadline 2026-01-08 01:00") for line in found)
    assert "paired.not_worse the first paired labels" in found
    assert "deadline 2026-01-08 01:00, passed" in found

    document = json.loads(mlops("rollouts", "status", "churn", "--json").stdout)
    assert document["workers"] == {"worker-1": epoch, "worker-2": epoch - 1}
    assert (document["step"], document["deadline"]) == (2, "2026-01-08T01:00:00Z")
    assert (document["last_decision"]["id"], document["now"]["outcome"]) == (2, "give_up")
    assert document["dagster"] is None
    monkeypatch.setenv("MLOPS_DAGSTER_URL", "http://127.0.0.1:3000")
    page = "http://127.0.0.1:3000/assets/churn/deployment"
    assert lines(mlops("rollouts", "status", "churn").stdout)[-1] == f"Dagster {page}"


def test_status_says_that_a_rollout_keeps_the_policy_it_began_with(
    rollout: int, fleet: ModelRegistry, mlops: Mlops
) -> None:
    assert not any(line.startswith("policy ") for line in lines(mlops("rollouts", "status", "churn").stdout))
    policy = Stores(Settings()).rollouts.running("churn").policy
    fleet.publish_policies("churn", {"rollout": policy.model_copy(update={"margin": 0.03})})
    found = " ".join(lines(mlops("rollouts", "status", "churn").stdout))
    assert "policy it keeps the policy it began with; as written now, margin will hold for the next rollout" in found


def test_status_shows_the_deadline_as_a_pause_has_moved_it(rollout: int, mlops: Mlops) -> None:
    rollouts = Stores(Settings()).rollouts
    rollouts.pause("churn", START + timedelta(hours=4))
    rollouts.resume("churn", START + timedelta(hours=28))
    found = lines(mlops("rollouts", "status", "churn").stdout)
    assert "deadline 2026-01-09 01:00, passed" in found
    assert json.loads(mlops("rollouts", "status", "churn", "--json").stdout)["deadline"] == "2026-01-09T01:00:00Z"


def test_a_person_takes_over(rollout: int, fleet: ModelRegistry, mlops: Mlops) -> None:
    assert mlops("rollouts", "pause", "churn", "--reason", "a [holiday]").stdout == (
        "churn 1.2.0: canary, step 2 of 4, 5 %, paused\n"
    )
    assert mlops("rollouts", "advance", "churn", "--reason", "now").stdout == (
        "churn 1.2.0: canary, step 3 of 4, 20 %, paused\n"
    )
    assert fleet.deployment("churn").canary_weight == 0.2
    assert mlops("rollouts", "resume", "churn", "--reason", "back").exit_code == 0
    aborted = json.loads(mlops("rollouts", "abort", "churn", "--reason", "enough", "--json").stdout)
    assert (aborted["phase"], aborted["reason"]) == ("given_up", "enough")
    assert fleet.deployment("churn").canary is None
    kinds = [(event.kind, event.actor, event.reason) for event in fleet.history("churn")[-4:]]
    assert kinds == [
        ("paused", "ada", "a [holiday]"),
        ("weight", "ada", "now"),
        ("resumed", "ada", "back"),
        ("transition", "ada", "enough"),
    ]
    ended = lines(mlops("rollouts", "status", "churn").stdout)
    assert ended[1].startswith("stands at given_up")
    assert "because enough" in ended
    again = mlops("rollouts", "abort", "churn", "--reason", "r")
    assert (again.exit_code, again.stderr.startswith("error (rollout_not_found): ")) == (1, True)


def test_what_is_not_there_is_said_with_its_code(fleet: ModelRegistry, mlops: Mlops) -> None:
    for command, code in (
        (("status", "nope"), "model_not_found"),
        (("status", "churn"), "rollout_not_found"),
        (("explain", 9), "rollout_not_found"),
        (("replay", "--rollout", 9), "rollout_not_found"),
        (("advance", "churn", "--reason", "r"), "rollout_not_found"),
    ):
        found = mlops("rollouts", *command)
        assert (found.exit_code, found.stdout) == (1, ""), command
        assert found.stderr.startswith(f"error ({code}): "), command
    for command in ("explain", "replay"):
        for arguments in ((), (1, "--rollout", 1)):
            assert mlops("rollouts", command, *arguments).exit_code == 2
    for command in ("pause", "resume", "advance", "abort"):
        assert mlops("rollouts", command, "churn").exit_code == 2
