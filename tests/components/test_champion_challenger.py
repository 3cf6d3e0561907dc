"""The job champion_challenger in real runs of Dagster, on real versions and a real log: it reports, and no more."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from mlops_dagster.loop.spec import CardSpec, ModelSpec, TrainingSpec
from mlops_dagster.registry import Deployment
from mlops_dagster.rollout import RolloutPolicy
from tests.support.components.at_a_time import DagsterAt, cells
from tests.support.two_versions import MODEL, days, estimator, house_at, register, serve

SPEC = ModelSpec(
    model=MODEL,
    trainer="nobody.asks",
    training=TrainingSpec(dataset="made up"),
    card=CardSpec(intended_use="tests", failure_modes=("none",), contacts=("me",), fairness_attribute="carrier"),
    rollout=RolloutPolicy(rows_per_observation=1),
)
NOON = days(5.5)
JOB = "champion_challenger"


@pytest.fixture
def dagster(tmp_path: Path) -> Iterator[DagsterAt]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield DagsterAt(tmp_path, instance, NOON, SPEC)


def compared(dagster: DagsterAt, **config: str) -> dict[str, object]:
    """Run the job as the launchpad would; the metadata of what it materialized."""
    ops = {"flights__champion_challenger": {"config": {"as_of": NOON.isoformat(), **config}}}
    (found,) = dagster.run(JOB, {"ops": ops}).asset_materializations_for_node("flights__champion_challenger")
    return {name: value.value for name, value in found.metadata.items()}


def begin(home: Path, threshold: float) -> Deployment:
    """A champion that is right, a retrained challenger in shadow, and two days of labelled traffic."""
    register(home, "1.0.0", estimator(0.1), trained_until=days(1), at=days(1), champion=True)
    register(home, "1.1.0", estimator(threshold), trained_until=days(3), at=days(3))
    stores = house_at(home, days(3))
    stores.controller(lambda _: SPEC.rollout).tick(MODEL)
    for day in (2, 3, 4):
        serve(home, days(day), 400, answers=0.1, truth=0.1 if day == 2 else 0.0)
    return stores.registry.deployment(MODEL)


@pytest.mark.parametrize(
    ("threshold", "verdict"), [(0.1, "not_worse"), (0.4, "worse"), (0.0, "superior"), (-0.16, "inconclusive")]
)
def test_whatever_is_found_a_challenger_stays_one(
    tmp_path: Path, dagster: DagsterAt, threshold: float, verdict: str
) -> None:
    before = begin(tmp_path, threshold)
    history = house_at(tmp_path, NOON).registry.history(MODEL)
    found = compared(dagster)
    assert found["verdict"] == verdict, found["reason"]
    after = house_at(tmp_path, NOON).registry
    assert (after.deployment(MODEL), after.history(MODEL)) == (before, history)
    assert (before.champion, before.shadows) == ("1.0.0", ("1.1.0",))

    assert (found["champion"], found["challenger"]) == ("1.0.0", "1.1.0")
    assert found["rows"] == 799  # of 800 the first is the last that was trained on
    assert str(found["which_rows"]).startswith("799 of the 799 served from ")
    assert "Margin 0.02, alpha 0.05, at least 100 pairs" in str(found["which_rows"])
    assert [row[2] for row in cells(found["claims"])] == [20, 20, 20]
    assert [row[0] for row in cells(found["versions"])] == ["challenger 1.1.0", "champion 1.0.0"]
    assert [row[0] for row in cells(found["slices"])] == ["carrier=AA", "carrier=UA"]


def test_versions_may_be_named_and_a_model_without_two_has_no_verdict(tmp_path: Path, dagster: DagsterAt) -> None:
    assert compared(dagster)["reason"] == "no champion yet"
    register(tmp_path, "1.0.0", estimator(0.1), trained_until=days(1), at=days(1), champion=True)
    assert compared(dagster) == {"verdict": "inconclusive", "reason": "no version beside the champion"}
    register(tmp_path, "1.1.0", estimator(0.0), trained_until=days(3), at=days(3))
    register(tmp_path, "1.2.0", estimator(0.0), trained_until=days(4), at=days(4))
    assert compared(dagster)["challenger"] == "1.2.0"
    found = compared(dagster, challenger="1.0.0", champion="1.1.0")
    assert (found["champion"], found["challenger"], found["rows"]) == ("1.1.0", "1.0.0", 0)


def test_a_running_rollout_is_compared_once_a_day_from_the_first_labels_on(tmp_path: Path, dagster: DagsterAt) -> None:
    assert dagster.tick(JOB) == "no rollout is running"
    register(tmp_path, "1.0.0", estimator(0.1), trained_until=days(1), at=days(1), champion=True)
    register(tmp_path, "1.1.0", estimator(0.0), trained_until=days(3), at=days(3))
    house_at(tmp_path, days(3)).controller(lambda _: SPEC.rollout).tick(MODEL)
    serve(tmp_path, days(3), 10, labelled=False)
    assert "no labels yet" in str(dagster.tick(JOB))
    serve(tmp_path, days(4), 10)
    request = dagster.tick(JOB)
    assert isinstance(request, dg.RunRequest)
    assert request.run_key == "comparison-1-2013-03-06"
    result = dagster.run(JOB, dict(request.run_config))
    (found,) = result.asset_materializations_for_node("flights__champion_challenger")
    assert found.metadata["reason"].value == "10 labelled rows, 100 are needed"
