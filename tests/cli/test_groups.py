"""The commands beside `mlops models`."""

import json

from mlops_dagster.registry import ModelRegistry
from mlops_dagster.rollout.policy import RolloutPolicy
from mlops_dagster.settings import Settings
from mlops_dagster.stores import Stores
from tests.support.program import START


def test_rollouts_are_listed_paused_and_resumed(fleet: ModelRegistry, mlops) -> None:
    Stores(Settings()).rollouts.start("churn", "1.0.0", "1.2.0", RolloutPolicy(), 5, START)
    assert mlops("rollouts", "pause", "churn", "--reason", "r").exit_code == 0
    (line,) = mlops("rollouts", "list").stdout.splitlines()[2:]
    assert line.split() == ["1", "churn", "1.2.0", "shadow", "(paused)", "0", "%", "2026-01-01", "00:00"]
    assert mlops("rollouts", "resume", "churn", "--reason", "r").exit_code == 0
    assert json.loads(mlops("rollouts", "list", "churn", "--json").stdout) == [
        {
            "id": 1,
            "model": "churn",
            "champion": "1.0.0",
            "challenger": "1.2.0",
            "phase": "shadow",
            "paused": False,
            "weight": 0,
            "started_at": "2026-01-01T00:00:00Z",
            "ended_at": None,
            "reason": "",
        }
    ]
    assert mlops("rollouts", "list", "other", "--json").stdout == "[]\n"


def test_audits_speak_to_programs(fleet: ModelRegistry, mlops) -> None:
    head = fleet.audit()
    assert json.loads(mlops("audit", "verify", "--json").stdout) == {"events": head.events, "head": head.hash}
    assert json.loads(mlops("predictions", "audit", "--json").stdout) == {
        "answered": 0,
        "logged": 0,
        "spooled": 0,
        "erased": 0,
        "gaps": 0,
        "twice": 0,
        "complete": True,
        "missing": [],
        "problems": [],
    }
