"""The audit never cries wolf, whatever happens between two of its reads; and a loss is found wherever it is."""

from collections.abc import Iterator

import pytest

from mlops_dagster.predictions.rollups import heartbeats
from tests.support.predictions.audit_world import LOSSES, World, audit_under_traffic

pytestmark = pytest.mark.slow


@pytest.fixture
def world(tmp_path, request) -> Iterator[World]:
    world = World(tmp_path / "world", seed=request.param)
    yield world
    world.close()


# Each costs seconds; `make soak` goes on from here (soak/audits.py).
@pytest.mark.parametrize("world", range(3), indirect=True)
def test_nothing_is_lost_and_nothing_is_said_to_be(world):
    audit_under_traffic(world)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("world", [1, 2], indirect=True)
def test_a_loss_is_found_from_everywhere_wherever_it_is(world, loss, monkeypatch):
    for _ in range(8):
        world.act()
    world.settle()
    in_spool = "spool" in loss
    its = [world.record(1, model="flights") for _ in range(3)]
    world.spools[1].append(its)
    if not in_spool:
        world.log.ship(world.spools[1])
    world.rollups.catch_up(world.spools[1], lambda *_: None)
    assert [world.audit_at_rest(replica).complete for replica in (0, 1)] == [True, True], world.done
    world.lose(loss)
    if loss in ("entry of the spool", "newest entry of the spool"):
        assert not world.audit_at_rest(1).complete, "at its home, while it is there"
    monkeypatch.setattr(heartbeats, "ALIVE_SECONDS", -1)
    if loss == "newest entry of the spool":
        world.log.ship(world.spools[1])
    report = world.audit_at_rest(0)
    assert not report.complete, (world.done, report)
    assert report.gaps or report.twice, "by number"
