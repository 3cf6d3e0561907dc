"""The hourly drift report in real runs of Dagster: the whylogs profiles that stand beside it."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from mlops_dagster.components.monitoring import monitoring_defs
from mlops_dagster.components.platform import Platform
from mlops_dagster.components.spec import CardSpec, ModelSpec, TrainingSpec
from mlops_dagster.predictions import PredictionLog, Spool
from tests.predictions.conftest import a_record

MARCH = datetime(2013, 3, 1, tzinfo=UTC)
SPEC = ModelSpec(
    model="flights",
    trainer="nobody.asks",
    training=TrainingSpec(dataset="made up"),
    card=CardSpec(intended_use="tests", failure_modes=("none",), contacts=("me",), fairness_attribute="a"),
)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Two versions were asked in the first hour, one in the third."""
    spool = Spool(tmp_path / "spool.sqlite")
    spool.append([a_record(0), a_record(1, version="1.1.0", role="shadow"), a_record(150)])
    PredictionLog(tmp_path / "log").ship(spool)
    return tmp_path


def drift_report(home: Path) -> tuple[dict[str, object], str]:
    """Materialize three hours in one run: the profiles of each, and what the check says of them."""
    (asset,) = [its for its in monitoring_defs(SPEC).assets or () if its.key == SPEC.key("drift_report")]
    hours = [f"{MARCH + timedelta(hours=hour):%Y-%m-%d-%H:%M}" for hour in range(3)]
    tags = {"dagster/asset_partition_range_start": hours[0], "dagster/asset_partition_range_end": hours[-1]}
    with dg.DagsterInstance.local_temp(str(home)) as instance:
        resources = {"platform": Platform(home=str(home))}
        result = dg.materialize([asset], instance=instance, resources=resources, tags=tags)
    found = {
        event.partition: event.metadata["profiles"].value
        for event in result.asset_materializations_for_node("flights__drift_report")
    }
    (check,) = result.get_asset_check_evaluations()
    return {hour: found[hour] for hour in hours}, str(check.metadata["profiles"].value)


def test_each_hour_names_its_profiles(home: Path) -> None:
    folder = home / "artifacts" / "profiles" / "flights"
    first = [str(folder / version / "2013-03-01T00.bin") for version in ("1.0.0", "1.1.0")]
    third = [str(folder / "1.0.0" / "2013-03-01T02.bin")]
    found, told = drift_report(home)
    assert list(found.values()) == [first, [], third]
    assert told == "3 files"
    assert all(Path(address).stat().st_size > 0 for address in (*first, *third))


def test_drift_is_judged_without_them(home: Path) -> None:
    (home / "artifacts").touch()
    found, told = drift_report(home)
    assert list(found.values()) == [[], [], []]
    assert told.startswith("not made: cannot read or write")
