"""The alert of a champion that breaks its error limit."""

from collections.abc import Iterator
from typing import Any

import pytest

from mlops_dagster.alerting import Alert, Alerts, Severity
from mlops_dagster.rollout import Phase
from mlops_dagster.rollout.alerts.champion_limit import tell_champion_limit

World = Any  # conftest's; test modules cannot import it in importlib mode


@pytest.fixture
def alerts(world: World) -> Iterator[Alerts]:
    alerts = Alerts(world.settings.database, world.clock)
    yield alerts
    alerts.close()


def told(world: World, alerts: Alerts, *, decided: bool = True) -> Alert | None:
    """The open alert after a look."""
    decision = world.controller.tick(world.model)
    assert (decision is not None) is decided
    tell_champion_limit(alerts, world.model, decision)
    return next(iter(alerts.list(world.model)), None)


@pytest.mark.parametrize("database", ["sqlite", "postgresql"], indirect=True)
def test_it_opens_on_proof_and_is_over_when_nothing_speaks_for_it(world: World, alerts: Alerts) -> None:
    world.register("1.1.0")
    world.reach(1)
    world.serve(ties=300, hours=0.1)
    assert told(world, alerts) is None
    world.serve(both_fail=20, hours=0.1)
    alert = told(world, alerts)
    assert alert is not None
    assert (alert.rule, alert.severity) == ("champion_error_limit", Severity.CRITICAL)
    assert alert.summary.startswith("champion 1.0.0 breaks its error limit of 1.00%: 20 of ")
    assert alert.done == "nothing: challenger 1.1.0 is not taken out for failures that both share"
    assert (alert.version, alert.since) == ("1.0.0", world.rollout.started_at)
    assert alert.reading is not None
    assert (alert.reading.limit, alert.reading.unit, alert.reading.counted) == (1.0, "%", "requests")
    assert alert.reading.samples is not None
    assert alert.reading.value == pytest.approx(2_000 / alert.reading.samples)
    assert alert.reading.low < alert.reading.value < alert.reading.high
    world.serve(ties=100, hours=0.1)
    assert told(world, alerts) is not None, "it is still over the limit"
    world.serve(ties=4_000, hours=0.1)
    assert told(world, alerts) is None
    (alert,) = alerts.list(world.model, resolved=True)
    assert alert.resolution == "the champion is not over its error limit any more, in all and lately"


@pytest.mark.parametrize("promoted", [True, False])
def test_it_is_over_with_the_rollout(world: World, alerts: Alerts, promoted: bool) -> None:
    """In the watch another is champion, and without a rollout nothing is measured."""
    world.register("1.1.0")
    world.reach(1)
    world.serve(both_fail=100, hours=0.1)
    assert told(world, alerts) is not None
    if promoted:
        while world.rollout.phase is not Phase.WATCH:
            world.controller.advance(world.model, "it must go on")
    else:
        world.controller.abort(world.model, "another day")
    assert told(world, alerts, decided=promoted) is None
    (alert,) = alerts.list(world.model, resolved=True)
    assert alert.resolution.startswith("no rollout is running")
