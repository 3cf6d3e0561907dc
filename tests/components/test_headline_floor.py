"""A champion under its macro-F1 floor, from the daily report to the deployment, in real runs of Dagster."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import cast

import dagster as dg
import pytest

from mlops_dagster.components.keys import key_of
from mlops_dagster.loop.spec import CardSpec, ModelSpec, TrainingSpec
from mlops_dagster.rollout import RolloutPolicy
from tests.support.components.at_a_time import DagsterAt
from tests.support.two_versions import MODEL, days, estimator, house_at, register, serve

SPEC = ModelSpec(
    model=MODEL,
    trainer="nobody.asks",
    training=TrainingSpec(dataset="made up"),
    card=CardSpec(intended_use="tests", failure_modes=("none",), contacts=("me",), fairness_attribute="carrier"),
    rollout=RolloutPolicy(rows_per_observation=1),
)
NOON = days(6.5)
THREE_DAYS = {
    "dagster/asset_partition_range_start": "2013-03-04",
    "dagster/asset_partition_range_end": "2013-03-06",
}


class Floor(DagsterAt):
    """The reports up to 6 March, made in one run as after an outage, and the sensors and the job that act on them."""

    def report(self) -> dg.AssetCheckEvaluation:
        checks = self.run("daily_performance", tags=THREE_DAYS).get_asset_check_evaluations()
        return next(check for check in checks if check.check_name == "headline")

    @property
    def alert(self) -> tuple[str, str, str] | None:
        """Severity, state and what was done, of the last alert of the floor."""
        found = house_at(self.home, NOON).alerts.list(MODEL, resolved=True)
        return (found[-1].severity.value, "open" if found[-1].open else "over", found[-1].done) if found else None

    @property
    def champion(self) -> str | None:
        return house_at(self.home, NOON).registry.deployment(MODEL).champion


@pytest.fixture
def floor(tmp_path: Path) -> Iterator[Floor]:
    """The champion 1.1.0, with a threshold of 1, since 3 March, and 1.0.0 with one of 0 before it; both trained before.

    On 2 March the world was one in which 1.1.0 is better, which proves nothing: it was not champion then.
    """
    register(tmp_path, "1.0.0", estimator(0), trained_until=days(0.5), at=days(1), champion=True)
    register(tmp_path, "1.1.0", estimator(1), trained_until=days(0.5), at=days(2), champion=True)
    serve(tmp_path, days(1), 400, truth=1)
    with dg.DagsterInstance.ephemeral() as instance:
        yield Floor(tmp_path, instance, NOON, SPEC)


def served(home: Path, truth: float, flipped: float = 0.0) -> None:
    for day in (2, 3, 4, 5):
        serve(home, days(day), 200, version="1.1.0", answers=1, truth=truth, flipped=flipped)


def shown(check: dg.AssetCheckEvaluation) -> dict[str, object]:
    return {name: value.value for name, value in check.metadata.items()}


def test_it_goes_back_if_the_one_before_does_better(floor: Floor) -> None:
    served(floor.home, truth=0)
    check = floor.report()
    assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.ERROR)
    found = shown(check)
    assert (found["floor"], found["floor_to"], found["macro_f1_rows"]) == ("roll_back", "1.0.0", 800)
    assert found["macro_f1_limits"] == "alert under 0.87, floor 0.83, by 200 labels or more"
    assert not [value for value in check.metadata.values() if isinstance(value, dg.JsonMetadataValue)], "a click away"
    assert check.description == f"1.1.0: {found['floor_reason']}; a rollback to 1.0.0 is started"
    assert cast("float", found["macro_f1_low"]) < cast("float", found["macro_f1"]) < 0.83
    assert "800 of the 800 served from 2013-03-03 00:00" in str(found["floor_comparison"])
    assert "performance" not in str(floor.tick("retraining"))
    assert floor.alert == ("critical", "open", "a rollback to 1.0.0 is started")

    assert str(floor.tick("headline_floor")).startswith("rollback: macro-F1 ")
    assert floor.champion == "1.0.0"
    registry = house_at(floor.home, NOON).registry
    assert "1.0.0 does better on the same labels: proven" in registry.history(MODEL)[-1].reason
    (record,) = floor.instance.fetch_materializations(key_of(SPEC, "deployment"), limit=9).records
    assert record.asset_materialization is not None
    told = {name: value.value for name, value in record.asset_materialization.metadata.items()}
    assert (told["action"], told["champion"]) == ("rollback", "1.0.0")

    assert floor.tick("headline_floor") == "1.1.0 is no longer champion"
    # and 1.0.0 is not judged by what 1.1.0 has answered
    assert shown(floor.report())["floor"] == "inconclusive"


def test_a_rollback_by_hand_that_names_the_bad_champion_changes_nothing_the_second_time(floor: Floor) -> None:
    ops = {"withdrawal": {"config": {"model": MODEL, "reason": "complaints", "to": "1.0.0", "bad": "1.1.0"}}}
    assert floor.run("rollback", {"ops": ops}).success
    assert floor.champion == "1.0.0"
    register(floor.home, "1.2.0", estimator(0), trained_until=days(4), at=NOON, champion=True)
    assert floor.run("rollback", {"ops": ops}).success
    assert floor.champion == "1.2.0"


def test_where_the_world_has_changed_it_retrains(floor: Floor) -> None:
    served(floor.home, truth=0.5, flipped=0.3)  # both are as far from it
    check = floor.report()
    assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.ERROR)
    assert shown(check)["floor"] == "retrain"
    assert floor.alert is not None
    assert floor.alert[0] == "critical"
    assert floor.alert[2].startswith("a retraining is started")
    assert str(floor.tick("headline_floor")).startswith("retrain: macro-F1 0.")

    request = floor.tick("retraining")
    assert isinstance(request, dg.RunRequest)
    assert request.tags["mlops/trigger"] == "performance"
    assert (request.tags["mlops/limit"], request.tags["mlops/rows"]) == ("0.83", "800")
    assert float(request.tags["mlops/low"]) < float(request.tags["mlops/macro_f1"]) < 0.83
    config = request.run_config["ops"]["flights__training_set"]["config"]
    assert config["trigger"] == "performance"
    assert "is under the floor of 0.83 (800 rows); 1.0.0 is not proven to do better" in config["reason"]
    assert floor.champion == "1.1.0"
    # nobody acts on a report that is days old
    later = Floor(floor.home, floor.instance, NOON + timedelta(days=3), SPEC)
    assert "no report" in str(later.tick("headline_floor"))
    assert "performance" not in str(later.tick("retraining"))


def test_a_champion_without_fault_or_labels_is_left_alone(floor: Floor) -> None:
    check = floor.report()
    assert (check.passed, shown(check)["floor"]) == (True, "inconclusive")
    served(floor.home, truth=1)
    check = floor.report()
    assert (check.passed, shown(check)["floor"]) == (True, "fine")
    assert str(floor.tick("headline_floor")).startswith("fine: macro-F1 1.000")
    # labels that are no class of the model are wrong answers, and no class that is always missed
    stores = house_at(floor.home, NOON)
    stores.spool.feedback([(f"030300-{number}", "Late", None) for number in range(4)], model=MODEL)
    stores.log.ship(stores.spool)
    check = floor.report()
    assert (check.passed, shown(check)["floor"]) == (True, "fine")
    assert 0.99 < cast("float", shown(check)["macro_f1"]) < 1


def test_between_alert_and_floor_somebody_is_told(floor: Floor) -> None:
    served(floor.home, truth=1, flipped=0.12)
    check = floor.report()
    assert (check.passed, check.severity, shown(check)["floor"]) == (False, dg.AssetCheckSeverity.WARN, "alert")
    assert floor.alert == ("warning", "open", "")
    for day in (2, 3, 4, 5):  # and it recovers
        serve(floor.home, days(day) + timedelta(hours=1), 1000, version="1.1.0", answers=1, truth=1, hours=20)
    assert shown(floor.report())["floor"] == "fine"
    assert floor.alert == ("warning", "over", "")
    assert "performance" not in str(floor.tick("retraining"))


def test_a_version_before_that_cannot_be_loaded_hides_nothing(floor: Floor) -> None:
    """Its bytes are not what was stored: nobody goes back to it, and the alert says so."""
    served(floor.home, truth=0)
    digest = house_at(floor.home, NOON).registry.get(MODEL, "1.0.0").digest
    (blob,) = [path for path in floor.home.rglob("*") if path.is_file() and digest in "".join(path.parts[-3:])]
    blob.chmod(0o600)
    blob.write_bytes(b"something else")
    found = shown(floor.report())
    assert found["floor"] == "retrain"
    assert "1.0.0 cannot be compared with it" in str(found["floor_reason"])
