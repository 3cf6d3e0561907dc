"""What a person does to a rollout from the Dagster UI, in real runs on a real registry."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest

from mlops_dagster.components.jobs.by_hand import by_hand_jobs
from mlops_dagster.components.keys import key_of
from mlops_dagster.components.platform import Platform
from mlops_dagster.errors import IncompleteCardError, ModelNotFoundError
from mlops_dagster.loop.spec import CardSpec, ModelSpec, TrainingSpec
from mlops_dagster.registry import Stage
from mlops_dagster.rollout import Phase, RolloutPolicy
from mlops_dagster.stores import Stores
from tests.support.components.at_a_time import PlatformAt

SPEC = ModelSpec(
    model="my-model",
    trainer="nobody.asks",
    training=TrainingSpec(dataset="made up"),
    card=CardSpec(intended_use="tests", failure_modes=("none",), contacts=("me",), fairness_attribute="a"),
    rollout=RolloutPolicy(steps=(0.1,)),
)
AT = datetime(2026, 1, 1, tzinfo=UTC)
Do = Callable[..., dict[str, object]]


@pytest.fixture
def platform(tmp_path: Path) -> Platform:
    """A champion, and a challenger in shadow."""
    platform = PlatformAt(home=str(tmp_path), now=AT.isoformat())
    stores = platform.stores()
    for version in ("1.0.0", "1.1.0"):
        (tmp_path / "model.onnx").write_text(version)
        stores.registry.register(SPEC.model, tmp_path / "model.onnx", version)
    first = stores.registry.get(SPEC.model, "1.0.0")
    stores.registry.transition(first, Stage.PRODUCTION, force=True, reason="a test")
    stores.controller(lambda _: SPEC.rollout).tick(SPEC.model)
    return platform


@pytest.fixture
def stores(platform: Platform) -> Stores:
    return platform.stores()


@pytest.fixture
def do(platform: Platform) -> Do:
    """Run the job as the launchpad would, and return the metadata of what it materialized."""
    (job,) = (job for job in by_hand_jobs([SPEC]) if job.name == "rollout_by_hand")

    def do(action: str, reason: str, model: str = SPEC.model) -> dict[str, object]:
        config = {"ops": {"manual_action": {"config": {"model": model, "action": action, "reason": reason}}}}
        result = job.execute_in_process(config, resources={"platform": platform})
        (found,) = result.asset_materializations_for_node("manual_action")
        assert found.asset_key == key_of(SPEC, "deployment")
        return {name: value.value for name, value in found.metadata.items()}

    return do


def test_a_rollout_is_steered_from_the_ui(do: Do, stores: Stores) -> None:
    def rollout() -> tuple[Phase, float, bool]:
        found = stores.rollouts.list(SPEC.model)[-1]
        return found.phase, found.weight, found.paused

    do("pause", "a holiday")
    assert rollout() == (Phase.SHADOW, 0, True)
    do("resume", "back")
    assert rollout() == (Phase.SHADOW, 0, False)
    shown = do("advance", "it looks good")
    assert rollout() == (Phase.CANARY, 0.1, False)
    assert (shown["action"], shown["reason"], shown["canary"]) == ("advance", "it looks good", "1.1.0")
    with pytest.raises(IncompleteCardError):
        do("advance", "all the traffic")
    assert do("abort", "no card")["canary"] == "-"
    assert rollout() == (Phase.GIVEN_UP, 0.1, False)
    by_hand = [(event.kind, event.actor, event.reason) for event in stores.registry.history(SPEC.model)[-4:]]
    assert by_hand == [
        ("paused", "dagster", "a holiday"),
        ("resumed", "dagster", "back"),
        ("transition", "dagster", "it looks good"),
        ("transition", "dagster", "no card"),
    ]


def test_anything_else_is_refused_before_it_runs(do: Do) -> None:
    with pytest.raises(dg.DagsterInvalidConfigError, match="explode"):
        do("explode", "why not")
    with pytest.raises(ModelNotFoundError, match="has no model 'my_model'; there is my-model"):
        do("pause", "a typo", "my_model")


def test_a_hold_is_on_the_materialization(stores: Stores, do: Do) -> None:
    assert do("pause", "wait")["on_hold"] == "-"
    stores.registry.hold(SPEC.model, "bad rows")
    assert do("resume", "go on")["on_hold"] == "bad rows"
    assert stores.registry.deployment(SPEC.model).on_hold is not None
