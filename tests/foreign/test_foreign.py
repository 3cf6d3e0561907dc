"""Exceptions of others never reach a user: what is handed in is taken, or refused by an error of ours."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from tests.support.foreign.targets import TARGETS

EXAMPLES = {"commands": 15, "damaged estimators": 150}


@pytest.mark.parametrize("name", TARGETS)
def test_what_strangers_hand_in_is_taken_or_refused_by_us(name: str) -> None:
    target = TARGETS[name]

    @settings(max_examples=EXAMPLES.get(name, 40), database=None, suppress_health_check=list(HealthCheck))
    @given(value=target.handed_in)
    def hand_in(value: object) -> None:
        with tempfile.TemporaryDirectory() as folder:
            target.outcome(value, Path(folder))

    hand_in()


def test_every_target_takes_something_and_refuses_something() -> None:
    """A target that refuses all, or takes all, would find nothing."""
    assert TARGETS.keys() >= {
        "manifests",
        "cards",
        "policies",
        "defs",
        "suites",
        "database URLs",
        "settings",
        "commands",
    }
    for name in ("policies", "cards"):
        with tempfile.TemporaryDirectory() as folder:
            assert TARGETS[name].outcome(b"{}", Path(folder)) == "taken"
            assert TARGETS[name].outcome(b"[", Path(folder)) in ("invalid_input", "invalid_policy")
