"""Hours of served predictions in real runs of Dagster: what is validated, set aside, told, and shown."""

import io
import json
import re
from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path

import dagster as dg
import numpy as np
import pandas as pd
import pytest

from mlops_dagster.alerting import Severity
from mlops_dagster.clock import ReplayedClock
from mlops_dagster.components.keys import key_of
from mlops_dagster.components.model_lifecycle import lifecycle_defs
from mlops_dagster.components.platform import Platform
from mlops_dagster.errors import InvalidSuiteError
from mlops_dagster.loop.judging.findings import VALIDATION
from mlops_dagster.loop.spec import CardSpec, ModelSpec, TrainingSpec
from mlops_dagster.monitoring import ValidationPolicy, ValidationResult, make_baseline
from mlops_dagster.monitoring.validation.hourly import validate_hours
from mlops_dagster.predictions import Spool
from mlops_dagster.registry import Stage
from mlops_dagster.settings import Settings
from mlops_dagster.stores import Stores
from tests.monitoring.test_validation import SCHEMA, flights
from tests.support.components.at_a_time import PlatformAt, cells
from tests.support.predictions.records import MARCH, a_record
from tests.support.servable import constant
from tests.support.serving.data_plane import CARD

SPEC = ModelSpec(
    model="flights",
    trainer="nobody.asks",
    training=TrainingSpec(dataset="made up"),
    card=CardSpec(intended_use="tests", failure_modes=("none",), contacts=("me",), fairness_attribute="a"),
)
EARLIER = MARCH - timedelta(days=1)


@pytest.fixture
def stores(tmp_path: Path) -> Stores:
    return with_champion(tmp_path)


def with_champion(tmp_path: Path) -> Stores:
    """A champion since the day before."""
    stores = Stores(Settings(home=tmp_path / "home"), ReplayedClock(EARLIER), actor="test")
    baseline = make_baseline(flights(5000, seed=0), SCHEMA, scores=np.full(5000, 0.5), labels=["late"] * 5000)
    version = stores.registry.register(
        "flights", constant(SCHEMA), "1.0.0", card=CARD, baseline=baseline, schema=SCHEMA
    )
    stores.registry.transition(version, Stage.PRODUCTION)
    return stores


def serve(stores: Stores, hour: int, *, temp: float | None = 40.0, number: int = 37, **changes: object) -> None:
    """Answer 37 rows in the hour of that number, or what `changes` make of them."""
    rows = flights(number, seed=hour).assign(temp=temp).to_dict("records")
    spool = Spool(stores.settings.spool_path)
    spool.append(
        [
            a_record(
                60 * hour + minute,
                prediction_id=f"{hour}-{minute}-{temp}",
                **{"features": {"delay": row["delay"], "temp": temp, "origin": row["origin"]}, **changes},
            )
            for minute, row in enumerate(rows)
        ]
    )
    stores.log.ship(spool)


def materialize(
    stores: Stores, hours: Iterable[int], spec: ModelSpec = SPEC, *, at: datetime | None = None
) -> tuple[dict[int, dict[str, object]], dict[str, object]]:
    """Materialize a range of hours in one run: the metadata of each, and of the check."""
    (asset,) = [its for its in lifecycle_defs(spec).assets or () if its.key == key_of(spec, "prediction_batch")]
    keys = {hour: f"{MARCH + timedelta(hours=hour):%Y-%m-%d-%H:%M}" for hour in hours}
    first, *_, last = [*keys.values(), *keys.values()]
    tags = {"dagster/asset_partition_range_start": first, "dagster/asset_partition_range_end": last}
    home = str(stores.settings.home)
    platform = Platform(home=home) if at is None else PlatformAt(home=home, now=at.isoformat())
    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize([asset], instance=instance, resources={"platform": platform}, tags=tags)
    events = {each.partition: each.metadata for each in result.asset_materializations_for_node(asset.op.name)}
    (check,) = result.get_asset_check_evaluations()
    told = {hour: {name: value.value for name, value in events[key].items()} for hour, key in keys.items()}
    found = {name: value.value for name, value in check.metadata.items()}
    return told, {"passed": check.passed, "description": check.description, **found}


def test_an_hour_that_cannot_be_validated_is_an_error_that_holds_and_sets_aside_nothing(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    holds = SPEC.model_copy(update={"validation": ValidationPolicy(hold=True)})
    serve(stores, 0, temp=40.0)
    serve(stores, 1, temp=40.0)
    now = MARCH + timedelta(hours=2)
    with monkeypatch.context() as broken:
        broken.setattr("mlops_dagster.monitoring.validation.validate.run", lambda *_: 1 / 0)
        told, check = materialize(stores, range(2), holds, at=now)
    reason = "the batch could not be validated: ZeroDivisionError"
    assert [told[hour]["validation"] for hour in range(2)] == ["error", "error"]
    assert [cells(told[hour]["errors"]) for hour in range(2)] == [[[reason]]] * 2
    assert (check["passed"], check["quarantined_hours"]) == (False, "none")
    assert cells(check["hours_with_errors"]) == [["2013-03-01-01:00"], ["2013-03-01-00:00"]]
    assert check["description"] == (
        "2013-03-01-00:00 to 2013-03-01-01:00: 2 of 2 hours did not pass, the last of 2013-03-01 01:00 UTC: "
        f"{reason}; nothing was set aside"
    )
    assert not (stores.settings.home / "quarantine").exists()
    assert stores.registry.deployment("flights").on_hold is None
    (alert,) = stores.alerts.list("flights")
    assert (alert.rule, alert.severity) == ("validation_error", Severity.WARNING)
    assert alert.summary == f"2 of 2 batches could not be validated, nothing is known of them: {reason}"

    _, check = materialize(stores, range(2), holds, at=now)
    assert check["passed"]
    assert stores.alerts.list("flights") == []
    made = stores.reports.revisions(VALIDATION, "flights", MARCH)  # of two Dagster instances that are gone
    assert [(each.verdict, each.champion) for each in made] == [("error", "1.0.0"), ("passed", "1.0.0")]


def test_bad_hours_of_a_range_are_set_aside_and_one_alert_tells_of_them(stores: Stores) -> None:
    for hour in range(4):
        serve(stores, hour, temp=None if hour in (1, 3) else 40.0)
    told, check = materialize(stores, range(5))
    assert [told[hour]["validation"] for hour in range(5)] == ["passed", "failed", "passed", "failed", "inconclusive"]
    assert not check["passed"]
    assert cells(check["quarantined_hours"]) == [["2013-03-01-03:00"], ["2013-03-01-01:00"]]
    folder = stores.settings.home / "quarantine" / "flights"
    assert sorted(file.stem for file in folder.glob("*.parquet")) == ["2013-03-01T01", "2013-03-01T03"]
    rows = pd.read_parquet(folder / "2013-03-01T03.parquet")
    assert list(rows.columns) == ["prediction_id", "event_time", "version", "delay", "temp", "origin"]
    logged = stores.log.read(
        "flights", MARCH, MARCH + timedelta(days=1), ["prediction_id", "feature_delay"]
    ).to_pylist()
    delays = {row["prediction_id"]: row["feature_delay"] for row in logged}
    assert len(rows) == 37
    for row in rows.to_dict("records"):
        minute = int(row["prediction_id"].split("-")[1])
        assert row["event_time"] == MARCH + timedelta(hours=3, minutes=minute)
        assert (row["version"], row["delay"]) == ("1.0.0", delays[row["prediction_id"]])

    (alert,) = stores.alerts.list("flights")
    reason = (
        "temp: 37 of 37 values are missing; at most 5.0% may be, by chance 9 "
        "(`validation: {max_missing: 0.05}`, 1 would allow it)"
    )
    assert (alert.rule, alert.severity, alert.times) == ("validation", Severity.CRITICAL, 1)
    assert alert.summary == (
        f"2 of 4 batches failed validation: 2013-03-01 01:00 UTC ({reason}), 2013-03-01 03:00 UTC ({reason})"
    )
    assert alert.done == f"74 rows quarantined at {folder}"
    assert str(check["description"]).endswith(f"the last of 2013-03-01 03:00 UTC: {reason}; {alert.done}")
    assert alert.evidence["batches"] == {
        f"2013-03-01T0{hour}:00:00+00:00": {"rows": 37, "failures": [reason]} for hour in (1, 3)
    }


def test_the_next_good_hour_resolves_it_and_no_earlier_one(stores: Stores) -> None:
    for hour in range(4):
        serve(stores, hour, temp=None if hour == 1 else 40.0)
    materialize(stores, [1])
    materialize(stores, [0])  # looked at again: it says nothing of what came later
    materialize(stores, [4])  # nobody asked
    serve(stores, 5, temp=None, number=3)
    told, _check = materialize(stores, [5])  # too few rows to say that all is well
    doubt = "temp: 3 of 3 values are missing; at most 5.0% may be, by chance 3"
    assert (told[5]["validation"], cells(told[5]["doubts"])) == ("passed", [[doubt]])
    assert told[5]["reason"] == f"in doubt: {doubt}"
    assert len(stores.alerts.list("flights")) == 1
    materialize(stores, [2])
    (alert,) = stores.alerts.list("flights", resolved=True)
    assert alert.resolution == "2013-03-01 02:00 UTC passed, with 37 rows"
    materialize(stores, [1])  # an old bad hour, found again, opens one that the next good hour closes
    assert [alert.open for alert in stores.alerts.list("flights", resolved=True)] == [False, True]
    materialize(stores, [2, 3])
    assert stores.alerts.list("flights") == []


def test_the_same_hour_resolves_it_too_and_what_is_seen_again_forgets_nothing(stores: Stores) -> None:
    for hour in range(3):
        serve(stores, hour, temp=40.0 if hour == 0 else None)
    for hour in (2, 1):
        materialize(stores, [hour])
    (alert,) = stores.alerts.list("flights")
    assert (alert.times, alert.done[:19]) == (2, "74 rows quarantined")
    assert [time[11:13] for time in alert.evidence["batches"]] == ["01", "02"]  # type: ignore[attr-defined]
    lenient = SPEC.model_copy(update={"validation": ValidationPolicy(max_missing=1.0)})
    materialize(stores, [1], lenient)
    assert len(stores.alerts.list("flights")) == 1
    materialize(stores, [2], lenient)
    assert stores.alerts.list("flights") == []


def test_a_bad_hour_holds_online_serving_where_the_policy_says_so_and_a_good_one_lifts_it(stores: Stores) -> None:
    for hour in range(3):
        serve(stores, hour, temp=None if hour == 1 else 40.0)
    spec = SPEC.model_copy(update={"validation": ValidationPolicy(hold=True)})

    def held_after(hour: int, spec: ModelSpec) -> str | None:
        materialize(stores, [hour], spec, at=MARCH + timedelta(hours=hour + 1))
        hold = stores.registry.deployment("flights").on_hold
        return hold and hold.reason

    assert held_after(0, spec) is None
    assert held_after(1, SPEC) is None  # the default policy sets aside, and holds nothing
    reason = held_after(1, spec)
    assert reason is not None
    assert reason.startswith("validation: the hour 2013-03-01 01:00 UTC failed: temp: 37 of 37")
    (alert,) = stores.alerts.list("flights")
    assert "online serving put on hold" in alert.done
    assert held_after(2, spec) is None
    materialize(stores, [1], spec, at=MARCH + timedelta(hours=9))  # caught up on: it says nothing of now
    assert stores.registry.deployment("flights").on_hold is None


def test_what_a_hold_refused_tells_when_it_can_end(stores: Stores) -> None:
    """On hold nothing is answered; the inputs of who was refused are looked at all the same."""
    serve(stores, 0, temp=None)
    for hour, temp in [(1, None), (3, 40.0)]:
        serve(stores, hour, temp=temp, role="none", version="", status="held", prediction=None, score=None)
    serve(stores, 2, role="none", version="", status="rejected", features={}, raw="{}", prediction=None, score=None)
    spec = SPEC.model_copy(update={"validation": ValidationPolicy(hold=True)})
    held = []
    for hour in range(4):
        told, _check = materialize(stores, [hour], spec, at=MARCH + timedelta(hours=hour + 1))
        held.append((told[hour]["validation"], stores.registry.deployment("flights").on_hold is not None))
    assert held == [("failed", True), ("failed", True), ("inconclusive", True), ("passed", False)]
    (alert,) = stores.alerts.list("flights", resolved=True)
    command = "`mlops models release flights --reason ...`"
    assert alert.done.endswith(f"online serving put on hold, until an hour passes or {command}")


def test_what_a_canary_alone_refused_is_no_missing_value(stores: Stores) -> None:
    serve(stores, 0)
    refused = {"role": "canary", "version": "2.0.0", "status": "failed", "features": {}, "prediction": None}
    serve(stores, 0, temp=1.0, score=None, error="canary 2.0.0 refuses it", **refused)
    assert materialize(stores, [0])[0][0] | {"data_docs": ""} == {
        "validation": "passed",
        "reason": "37 rows met the suite",
        "rows": 37,
        "log": str((stores.settings.home / "log" / "predictions" / "flights").absolute()),
        "data_docs": "",
    }


def test_hours_in_pieces_are_as_all_at_once(stores: Stores) -> None:
    for hour in range(10):
        serve(stores, hour, temp=None if hour in (3, 9) else 40.0)
    champion = stores.registry.get("flights", "1.0.0")
    until = MARCH + timedelta(hours=9, minutes=20)

    def found(together: int) -> dict[datetime, ValidationResult]:
        return validate_hours(stores.log, champion, stores.quarantine, MARCH, until, together=together)

    whole = found(10_000)
    assert [result.rows for result in whole.values()] == [37] * 9 + [20]
    assert [hour.hour for hour, result in whole.items() if not result.passed] == [3, 9]
    for together in (1, 100, 185):
        assert found(together) == whole


def test_each_hour_is_held_against_the_champion_it_had(stores: Stores) -> None:
    """Before two o'clock one that was trained in the cold, from then on one trained in the heat."""
    later = Stores(stores.settings, ReplayedClock(MARCH + timedelta(hours=1, minutes=30)), actor="test")
    rows = flights(5000, seed=0)
    rows["temp"] += 1000.0
    baseline = make_baseline(rows, SCHEMA, scores=np.full(5000, 0.5), labels=["late"] * 5000)
    version = later.registry.register("flights", constant(SCHEMA), "2.0.0", card=CARD, baseline=baseline, schema=SCHEMA)
    later.registry.transition(version, Stage.PRODUCTION)
    for hour, temp in enumerate([40.0, 1040.0, 1040.0, 40.0]):
        serve(stores, hour, temp=temp)
    told, _check = materialize(stores, range(4))
    assert [told[hour]["validation"] for hour in range(4)] == ["passed", "passed", "passed", "failed"]
    (alert,) = stores.alerts.list("flights")
    assert list(alert.evidence["batches"]) == ["2013-03-01T03:00:00+00:00"]


def test_the_page_of_each_validation_is_published_and_linked(stores: Stores) -> None:
    for hour in range(3):
        serve(stores, hour, temp=None if hour == 1 else 40.0)
    told, _check = materialize(stores, range(4))
    pages = {hour: Path(str(told[hour]["data_docs"])) for hour in range(3)}
    assert "data_docs" not in told[3]
    folder = stores.settings.home.absolute() / "artifacts" / "data_docs" / "flights" / "prediction_batch"
    assert all(page.parent == folder for page in pages.values())
    bad, good = pages[1].read_text(), pages[2].read_text()
    assert "flights/prediction_batch/2013-03-01T01" in bad
    assert pages[0] == pages[2]
    assert pages[2].name == "2013-03-01-clean.html"
    assert "37 unexpected values found" in bad
    assert "100% unexpected" in bad or "0% not null" in bad
    assert "111 total rows" in good or "37 unexpected values found" in good  # with all rows of the run
    before = sorted(folder.iterdir())
    materialize(stores, range(4))
    assert sorted(folder.iterdir()) == before  # the same finding has one page


def test_pages_grow_with_what_is_wrong_and_not_by_the_hour(stores: Stores) -> None:
    """Two days, hour by hour as they come: one page of each day, and one of the bad hour."""
    bad = 36
    for hour in range(0, 48, 12):
        serve(stores, hour, temp=None if hour == bad else 40.0)
        materialize(stores, [hour])
    clean, later, of_the_bad = (name.rpartition("/")[2] for name in stores.data_docs.names("flights"))
    assert (clean, later) == ("2013-03-01-clean.html", "2013-03-02-clean.html")
    assert re.fullmatch("2013-03-02T12-[0-9a-f]{8}.html", of_the_bad)


def test_without_a_place_for_pages_it_is_validated_all_the_same(stores: Stores) -> None:
    serve(stores, 0, temp=None)
    docs = stores.settings.home / "artifacts" / "data_docs"
    docs.parent.mkdir(parents=True, exist_ok=True)
    docs.touch()
    told, check = materialize(stores, [0])
    assert check["passed"] is False
    assert str(told[0]["data_docs"]).startswith("not made: cannot read or write")
    assert len(stores.alerts.list("flights")) == 1


def test_the_suite_in_the_repository_is_what_hours_are_held_against(stores: Stores, tmp_path: Path) -> None:
    serve(stores, 0, temp=None)
    file = tmp_path / "suite.json"
    present = {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "temp", "mostly": 0.0}}
    file.write_text(json.dumps({"name": "lenient", "expectations": [present]}))
    spec = SPEC.model_copy(update={"validation": ValidationPolicy(suite=file)})
    assert materialize(stores, [0], spec)[0][0]["validation"] == "passed"
    file.write_text(json.dumps({"name": "strict", "expectations": [{**present, "kwargs": {"column": "tmep"}}]}))
    for _ in range(2):
        with pytest.raises(InvalidSuiteError, match="'tmep'"):
            materialize(stores, [0], spec)
    (alert,) = stores.alerts.list("flights")
    assert (alert.rule, alert.severity, alert.times) == ("suite", Severity.CRITICAL, 2)
    assert "asks for the column 'tmep'" in alert.summary
    file.write_text(json.dumps({"name": "lenient", "expectations": [present]}))
    materialize(stores, [0], spec)
    assert stores.alerts.list("flights") == []
    assert materialize(stores, [0])[0][0]["validation"] == "failed"


def test_an_hour_of_which_nothing_is_asked_says_nothing(stores: Stores, tmp_path: Path) -> None:
    serve(stores, 0, temp=None)
    file = tmp_path / "suite.json"
    of_days = {
        "type": "expect_column_values_to_not_be_null",
        "kwargs": {"column": "temp"},
        "meta": {"batches": ["day"]},
    }
    file.write_text(json.dumps({"name": "of days", "expectations": [of_days]}))
    spec = SPEC.model_copy(update={"validation": ValidationPolicy(suite=file, hold=True)})
    materialize(stores, [0], at=MARCH + timedelta(hours=1))
    stores.registry.hold("flights", "a test", automatic=True)
    told, _check = materialize(stores, [0], spec, at=MARCH + timedelta(hours=1))
    assert told[0]["validation"] == "inconclusive"
    assert stores.registry.deployment("flights").on_hold is not None
    (alert,) = stores.alerts.list("flights")  # of the suite that asked
    assert alert.open


def test_with_a_bucket_in_the_settings_bad_rows_and_pages_are_there(
    tmp_path: Path, s3: str, s3_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLOPS_STORAGE_URL", f"s3://{s3}/models")
    stores = with_champion(tmp_path)
    serve(stores, 0, temp=None)
    told, _check = materialize(stores, [0])
    place = f"s3://{s3}/models/quarantine/flights"
    assert stores.alerts.list("flights")[0].done == f"37 rows quarantined at {place}"
    assert stores.quarantine.names("flights") == ["flights/2013-03-01T00.json", "flights/2013-03-01T00.parquet"]
    rows = pd.read_parquet(io.BytesIO(stores.quarantine.read("flights/2013-03-01T00.parquet")))
    assert rows["prediction_id"].nunique() == 37
    assert str(told[0]["data_docs"]).startswith(f"{s3_server}/{s3}/models/data_docs/flights/prediction_batch/")
    assert not (stores.settings.home / "quarantine").exists()


def test_the_limits_are_those_of_the_policy(stores: Stores) -> None:
    serve(stores, 0, temp=None)
    spec = SPEC.model_copy(update={"validation": ValidationPolicy(max_missing=1.0)})
    assert materialize(stores, [0], spec)[0][0]["validation"] == "passed"


def test_in_one_run_drift_learns_which_hours_are_broken(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sensor that shows 500 degrees for some hours: far from the baseline, and no reason to train on."""
    monkeypatch.setenv("MLOPS_REPORT_ROWS", "0")
    baseline = stores.registry.get("flights", "1.0.0").baseline
    assert baseline is not None
    bins = {**{name: its.bins for name, its in baseline.features.items()}, "score": baseline.score.bins}
    stores.rollups.catch_up(stores.spool, lambda _model, _version: bins)
    for hour in range(24):
        serve(stores, hour, temp=500.0 if 19 <= hour < 23 else 40.0, number=60)
        stores.rollups.catch_up(stores.spool, lambda _model, _version: bins)
    keys = {key_of(SPEC, "prediction_batch"), key_of(SPEC, "drift_report")}
    assets = [asset for asset in lifecycle_defs(SPEC).assets or () if asset.key in keys]
    hours = [f"2013-03-01-{hour:02}:00" for hour in range(19, 24)]
    tags = {"dagster/asset_partition_range_start": hours[0], "dagster/asset_partition_range_end": hours[-1]}
    with dg.DagsterInstance.ephemeral() as instance:
        resources = {"platform": Platform(home=str(stores.settings.home))}
        result = dg.materialize(assets, instance=instance, resources=resources, tags=tags)
    last = result.asset_materializations_for_node("flights__drift_report")[-1].metadata
    assert (last["rows"].value, last["verdict"].value) == (24 * 60, "inconclusive")
    assert "temp" in last["drifted"].value
    assert last["failed_hours"].value == [f"2013-03-01T{hour:02}:00Z" for hour in range(19, 23)]
