"""The steps of a rollout as the fleet's sensors take them."""

from pathlib import Path

from mlops_dagster.loop.roll_out import PROMOTION, PROMOTION_REFUSED, roll_out
from mlops_dagster.loop.spec import CardSpec, ModelSpec, TrainingSpec
from mlops_dagster.registry import ModelCard
from mlops_dagster.rollout import Phase
from mlops_dagster.stores import Stores
from tests.support.rollout_world import MODEL, POLICY, World

SPEC = ModelSpec(
    model=MODEL,
    trainer="nobody.trains",
    training=TrainingSpec(dataset="made up"),
    card=CardSpec(intended_use="tests", failure_modes=("none",), contacts=("me",), fairness_attribute="carrier"),
    rollout=POLICY,
)


def test_a_gate_that_is_closed_at_the_last_step_is_an_action_and_no_failure(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.champion()
    world.register("1.1.0", card=ModelCard(intended_use="no more than that"))
    world.reach(2)
    world.serve_better()
    stores = Stores(world.settings, world.clock, actor="test")
    step = roll_out(stores, SPEC)
    assert step.action == PROMOTION_REFUSED
    assert "1.1.0 may not enter production" in step.reason
    assert step.decision is not None
    assert step.decision.rollout.challenger == "1.1.0"
    assert (world.rollout.phase, world.deployment.champion) == (Phase.GIVEN_UP, "1.0.0")
    assert roll_out(stores, SPEC).said == "no challenger"

    world.register("1.2.0")
    world.reach(2)
    world.serve_better()
    assert roll_out(stores, SPEC).action == PROMOTION
    assert world.deployment.champion == "1.2.0"
    world.close()
