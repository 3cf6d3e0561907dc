"""Many at once, and death in the middle: threads and processes on one home."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from mlops_dagster.errors import EpochConflictError
from mlops_dagster.registry import ModelRegistry, Stage

RACE = """
import json, multiprocessing, sys
from mlops_dagster.errors import MlopsError
from mlops_dagster.registry import ModelRegistry

def promote(number, start, outcomes):
    registry = ModelRegistry(sys.argv[1], actor=f"process {number}")
    epoch = registry.deployment("flights").epoch
    version = registry.list("flights")[1 + number % 4]
    start.wait()
    try:
        outcomes.put(registry.transition(version, "Production", expected_epoch=epoch).version)
    except MlopsError as error:
        outcomes.put(error.code)

forked = multiprocessing.get_context("fork")  # the imports once, not twenty times
start, outcomes = forked.Barrier(20), forked.Queue()
processes = [forked.Process(target=promote, args=(number, start, outcomes)) for number in range(20)]
for process in processes: process.start()
print(json.dumps([outcomes.get(timeout=60) for _ in processes]))
for process in processes: process.join()
"""


def test_of_twenty_promotions_at_once_exactly_one_wins(registry: ModelRegistry, uri: str, add, start_process) -> None:
    registry.transition(add("1.0.0"), "Production")
    for minor in range(1, 5):
        add(f"1.{minor}.0")
    output, errors = start_process(RACE, uri).communicate()
    assert errors == ""
    outcomes = json.loads(output)
    assert len(outcomes) == 20
    winners = [outcome for outcome in outcomes if outcome != "epoch_conflict"]
    assert len(winners) == 1
    deployed = registry.deployment("flights")
    assert (deployed.champion, deployed.previous, deployed.epoch) == (winners[0], "1.0.0", 2)
    in_production = [entry.version for entry in registry.list("flights") if entry.stage is Stage.PRODUCTION]
    assert in_production == winners
    registry.audit()


def test_a_promotion_loses_to_a_change_made_during_the_call(registry: ModelRegistry, add, monkeypatch) -> None:
    first, second = add("1.0.0"), add("1.1.0")
    look = registry.deployment

    def somebody_is_quicker(model: str):
        seen = look(model)
        monkeypatch.setattr(registry, "deployment", look)
        registry.transition(first, "Production")
        return seen

    monkeypatch.setattr(registry, "deployment", somebody_is_quicker)
    with pytest.raises(EpochConflictError, match=r"at epoch 1 \(champion 1.0.0, canary None\), not at 0") as error:
        registry.transition(second, "Production")
    assert error.value.code == "epoch_conflict"
    assert registry.get("flights", "1.1.0").stage is Stage.REGISTERED


def test_a_stale_weight_is_refused(registry: ModelRegistry, add) -> None:
    registry.transition(add("1.0.0"), "Production")
    registry.transition(add("1.1.0"), "Canary", weight=0.01)
    epoch = registry.deployment("flights").epoch
    registry.set_canary_weight("flights", 0.05, expected_epoch=epoch)
    with pytest.raises(EpochConflictError):
        registry.set_canary_weight("flights", 0.2, expected_epoch=epoch)
    assert registry.deployment("flights").canary_weight == 0.05


def test_rollbacks_always_get_through(registry: ModelRegistry, uri: str, add) -> None:
    for minor in range(3):
        registry.transition(add(f"1.{minor}.0"), "Production")
    canary = add("1.3.0")
    registry.transition(canary, "Canary", weight=0.5)
    others = [add(f"1.{minor}.0") for minor in range(4, 8)]
    registries = [ModelRegistry(uri) for _ in range(8)]

    def withdraw(number: int) -> str | None:
        return registries[number].withdraw(canary, reason="bad").canary

    def roll_back(number: int) -> str | None:
        return registries[number].rollback("flights", reason="bad", bad="1.2.0").champion

    def shadow(number: int) -> None:  # keeps the epoch moving
        while registries[number].get("flights", others[number].version).stage is not Stage.SHADOW:
            try:
                registries[number].transition(others[number], "Shadow")
            except EpochConflictError:
                continue

    with ThreadPoolExecutor(12) as pool:
        moving = [pool.submit(shadow, number) for number in range(4)]
        assert list(pool.map(withdraw, range(4))) == [None] * 4
        assert list(pool.map(roll_back, range(4, 8))) == ["1.1.0"] * 4
        for future in moving:
            future.result()
    bad = [event.version for event in registry.history("flights") if event.kind == "rollback"]
    assert sorted(bad) == ["1.2.0", "1.3.0"]
    assert sorted(registry.deployment("flights").shadows) == ["1.4.0", "1.5.0", "1.6.0", "1.7.0"]
    registry.audit()


KILLED = """
import os, signal, sys
from datetime import UTC, datetime
from mlops_dagster.clock import ReplayedClock
from mlops_dagster.registry import ModelRegistry
from mlops_dagster.registry.artifacts import LocalAnchors
from mlops_dagster.registry.stores.event_log import EventLog

registry = ModelRegistry(sys.argv[1], clock=ReplayedClock(datetime(2013, 3, 1, tzinfo=UTC)))
append, calls = EventLog.append, []
def die(*_): os.kill(os.getpid(), signal.SIGKILL)
def die_at_the_second(*arguments):
    calls.append(append(*arguments))
    if len(calls) == 2: die()
if sys.argv[2] == "before the commit":
    EventLog.append = die_at_the_second
else:
    LocalAnchors.note = die
registry.transition(registry.get("flights", "1.1.0"), "Production")
"""


@pytest.mark.parametrize(("moment", "champion"), [("before the commit", "1.0.0"), ("after the commit", "1.1.0")])
def test_death_in_a_promotion_leaves_all_of_it_or_nothing(
    registry: ModelRegistry, uri: str, add, start_process, moment: str, champion: str
) -> None:
    registry.transition(add("1.0.0"), "Production")
    add("1.1.0")
    killed = start_process(KILLED, uri, moment)
    assert (killed.communicate()[1], killed.returncode) == ("", -9)
    deployed = registry.champion("flights")
    assert deployed is not None
    assert deployed.version == champion
    assert registry.audit().events == (3 if champion == "1.0.0" else 5)
    assert registry.transition(add("1.2.0"), "Production").stage is Stage.PRODUCTION
    registry.audit()
