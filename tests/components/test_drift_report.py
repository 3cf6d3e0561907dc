"""The hourly drift report in real runs of Dagster: the whylogs profiles and the Evidently report beside it."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from mlops_dagster.clock import ReplayedClock
from mlops_dagster.components.keys import key_of
from mlops_dagster.components.model_lifecycle import lifecycle_defs
from mlops_dagster.components.platform import Platform
from mlops_dagster.loop.judging.findings import PERFORMANCE, VALIDATION, DayOfPerformance, ValidatedHour
from mlops_dagster.loop.spec import CardSpec, ModelSpec, TrainingSpec
from mlops_dagster.monitoring import (
    Collapse,
    CollapseVerdict,
    ConceptReport,
    ConceptVerdict,
    DriftPolicy,
    FeatureHarm,
    Harm,
    PerformanceReport,
)
from mlops_dagster.monitoring.concept.outcomes import Answers
from mlops_dagster.predictions import PredictionLog, Spool
from mlops_dagster.registry import Baseline, Stage
from mlops_dagster.settings import Settings
from mlops_dagster.statistics import CategoricalBins, Histogram, NumericBins
from mlops_dagster.stores import Stores
from mlops_dagster.tasks.classification import SCORE_BINS
from tests.monitoring.test_evidently_reports import exact_numbers
from tests.support.predictions.records import a_record

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


def drift_report(
    home: Path, spec: ModelSpec = SPEC, since: datetime = MARCH
) -> tuple[dict[str, Mapping[str, dg.MetadataValue]], dg.AssetCheckEvaluation]:
    """Materialize three hours in one run: what is said of each, and what the check says."""
    (asset,) = [its for its in lifecycle_defs(spec).assets or () if its.key == key_of(spec, "drift_report")]
    hours = [f"{since + timedelta(hours=hour):%Y-%m-%d-%H:%M}" for hour in range(3)]
    tags = {"dagster/asset_partition_range_start": hours[0], "dagster/asset_partition_range_end": hours[-1]}
    with dg.DagsterInstance.local_temp(str(home)) as instance:
        resources = {"platform": Platform(home=str(home))}
        result = dg.materialize([asset], instance=instance, resources=resources, tags=tags)
    found = {
        str(event.partition): event.metadata
        for event in result.asset_materializations_for_node("flights__drift_report")
    }
    (check,) = result.get_asset_check_evaluations()
    return {hour: found[hour] for hour in hours}, check


def hours_of(check: dg.AssetCheckEvaluation) -> dict[str, object]:
    hours = check.metadata["hours"]
    assert isinstance(hours, dg.TableMetadataValue)
    return dict(hours.records[0].data)


def test_each_hour_names_its_profiles(home: Path) -> None:
    folder = home / "artifacts" / "profiles" / "flights"
    first = [str(folder / version / "2013-03-01T00.bin") for version in ("1.0.0", "1.1.0")]
    third = [str(folder / "1.0.0" / "2013-03-01T02.bin")]
    found, check = drift_report(home)
    assert [hour["profiles"].value for hour in found.values()] == [first, [], third]
    assert check.metadata["profiles"].value == "3 files"
    assert all(Path(address).stat().st_size > 0 for address in (*first, *third))


def test_drift_is_judged_without_them(home: Path) -> None:
    (home / "artifacts").touch()
    found, check = drift_report(home)
    assert [hour["profiles"].value for hour in found.values()] == [[], [], []]
    assert str(check.metadata["profiles"].value).startswith("not made: cannot read or write")


@pytest.fixture
def judged(home: Path) -> Path:
    """A champion who was trained on other carriers answers 300 requests in the third hour."""
    stores = Stores(Settings(home=home), ReplayedClock(MARCH - timedelta(days=1)), actor="test")
    hours, carriers = NumericBins.fit(range(24)), CategoricalBins(("DL", "WN"))
    baseline = Baseline(
        {
            "hour": Histogram.of(hours, [float(number % 24) for number in range(2400)]),
            "carrier": Histogram.of(carriers, ["DL", "DL", "WN"] * 800),
        },
        Histogram.of(NumericBins((0.5,)), [0.25, 0.75] * 1200),
        Histogram.of(CategoricalBins(("on_time", "late")), ["late"]),
    )
    (home / "model.onnx").write_text("weights")
    version = stores.registry.register("flights", home / "model.onnx", "1.0.0", baseline=baseline)
    stores.registry.transition(version, Stage.PRODUCTION, force=True, reason="test")
    at = MARCH + timedelta(hours=2)
    stores.spool.append([a_record(number, prediction_id=f"x{number}", event_time=at) for number in range(300)])
    bins = {"hour": hours, "carrier": carriers, "score": baseline.score.bins}
    stores.rollups.catch_up(stores.spool, lambda _model, _version: bins)
    stores.log.ship(stores.spool)
    return home


def test_the_last_hour_of_a_run_links_its_evidently_report(judged: Path) -> None:
    *before, last = drift_report(judged)[0].values()
    assert ["evidently" in hour for hour in before] == [False, False]
    link = last["evidently"]
    assert isinstance(link, dg.PathMetadataValue)
    (page,) = (judged / "artifacts" / "reports" / "flights").iterdir()
    assert link.value == str(page)
    numbers = exact_numbers(page.read_text())
    assert numbers["sample"]["of"] == 302  # and two in the hours before; what a shadow answered is not served
    for name in ("psi", "psi_noise", "ks", "verdict", "rows", "drifted"):
        assert numbers[name] == last[name].value, name
    assert numbers["psi"]["carrier"] > 0.25


def test_drift_is_judged_whatever_becomes_of_the_report(judged: Path) -> None:
    (judged / "artifacts" / "reports").touch()
    found, check = drift_report(judged)
    *_, last = found.values()
    assert str(last["evidently"].value).startswith("not made: cannot read or write")
    assert (last["verdict"].value, last["drifted"].value) == ("retrain", ["carrier"])
    assert last["asks_for_retraining"].value is True
    assert str(last["retraining"].value).endswith("cannot be told; no daily report of this champion was known")
    assert last["limits"].value == {"psi": 0.25, "psi_monitor": 0.1, "ks": 0.1}
    assert list(last)[:3] == ["verdict", "reason", "champion"]  # what people look for comes first
    kinds = [type(value) for value in last.values()]
    assert kinds.index(dg.TableMetadataValue) < kinds.index(dg.FloatMetadataValue) < kinds.index(dg.JsonMetadataValue)
    assert str(last["reason"].value).startswith(f"carrier has a PSI of {last['psi carrier'].value:.3f}, over 0.25; ")
    assert [record.data["feature"] for record in last["features"].records] == ["carrier", "hour"]
    assert check.description == (
        "2013-03-01-00:00 to 2013-03-01-02:00: 1 of 3 hours beyond the limits, last 2013-03-01-02:00: "
        f"{last['reason'].value}; retraining: {last['retraining'].value}"
    )
    for shown in (last, check.metadata):
        assert not {name for name in shown if "limit" in name and isinstance(shown[name].value, int | float)}
    assert not check.passed
    plotted = {name: check.metadata[name].value for name in ("worst_psi", "ks")}
    assert plotted == {"worst_psi": max(last["psi"].value.values()), "ks": last["ks"].value}
    assert check.metadata["drifted"].value == "carrier"
    assert hours_of(check) == {"stable": 0, "inconclusive": 2, "monitor": 0, "retrain": 1, "scores elevated": 0}


def test_an_old_hour_is_weighed_by_the_daily_report_of_its_time(judged: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither by that of a later day, nor by that of the day before as it was made again since."""
    monkeypatch.setenv("MLOPS_REPORT_ROWS", "0")
    for day, hours, harm in ((0, 24.5, Harm.NO_LOSS), (0, 36, Harm.CAME_WITH_LOSS), (1, 60, Harm.CAME_WITH_LOSS)):
        nothing = Answers(0, 0)
        feature = FeatureHarm(
            "carrier", 0.4, 0.0, nothing, nothing, nothing, nothing, None, None, None, None, None, harm
        )
        concept = ConceptReport(
            "1.0.0", ConceptVerdict.INCONCLUSIVE, (), (feature,), Collapse(CollapseVerdict.HOLDS, "")
        )
        found = DayOfPerformance(PerformanceReport(0, ()), 0, concept=concept)
        stores = Stores(Settings(home=judged), ReplayedClock(MARCH + timedelta(hours=hours)), actor="test")
        stores.reports.save(PERFORMANCE, "flights", MARCH + timedelta(days=day), found, verdict="fine")
    *_, before, last = drift_report(judged, since=MARCH + timedelta(hours=22))[0].values()
    assert (before["verdict"].value, before["asks_for_retraining"].value) == ("retrain", True)
    assert str(before["retraining"].value).endswith("; no daily report of this champion was known")
    assert (last["verdict"].value, last["asks_for_retraining"].value, "evidently" in last) == ("retrain", False, False)
    assert last["retraining"].value == "drift of carrier, but labels show no loss with it"


def test_a_score_that_has_moved_alone_is_beyond_the_limits(judged: Path) -> None:
    """And asks for a retraining."""
    stores = Stores(Settings(home=judged), ReplayedClock(MARCH), actor="test")
    ends, apart = (
        MARCH + timedelta(hours=2.5),
        timedelta(minutes=2),
    )  # a window with missing hours cannot tell
    stores.spool.append([a_record(n, prediction_id=f"z{n}", event_time=ends - n * apart) for n in range(720)])
    champion = stores.champion("flights")
    assert champion is not None
    assert champion.baseline is not None
    bins = {name: its.bins for name, its in {**champion.baseline.features, "score": champion.baseline.score}.items()}
    stores.rollups.catch_up(stores.spool, lambda _model, _version: bins)
    spec = SPEC.model_copy(update={"drift": DriftPolicy(report_only=("carrier", "hour"))})
    found, check = drift_report(judged, spec)
    *_, last = found.values()
    assert (last["drifted"].value, last["score_elevated"].value) == ([], True)
    assert (last["score_verdict"].value, last["asks_for_retraining"].value) == ("retrain", True)
    assert last["retraining"].value.startswith("drift of the scores (KS D ")
    assert not check.passed
    assert (check.metadata["drifted"].value, hours_of(check)["scores elevated"]) == ("none", 2)


def test_broken_data_ask_for_no_retraining(judged: Path) -> None:
    """Until they have left the window, or have passed when they were validated again."""

    def validated(hour: datetime, verdict: str) -> None:
        stores = Stores(Settings(home=judged), ReplayedClock(MARCH), actor="test")
        stores.reports.save(VALIDATION, "flights", hour, ValidatedHour(rows=60), verdict=verdict)

    def said() -> tuple[object, object, object]:
        found, check = drift_report(judged)
        last = list(found.values())[-1]
        assert last["drifted"].value == ["carrier"]  # the numbers are there whatever follows from them
        return last["verdict"].value, last["reason"].value, check.passed

    validated(MARCH + timedelta(hours=3), "failed")  # of the hour after
    moved = said()
    assert (moved[0], moved[2]) == ("retrain", False)
    validated(MARCH, "failed")
    validated(MARCH + timedelta(hours=1), "failed")
    why = "2 hours of the window failed validation, the last 2013-03-01 01:00 UTC"
    assert said() == ("inconclusive", why, True)
    hours = list(drift_report(judged)[0].values())
    page = exact_numbers(Path(str(hours[-1]["evidently"].value)).read_text())
    assert (page["verdict"], page["reason"]) == ("inconclusive", why)  # as the materialization has it
    assert [hour["failed_hours"].value for hour in hours] == [
        ["2013-03-01T00:00Z"],
        ["2013-03-01T00:00Z", "2013-03-01T01:00Z"],
        ["2013-03-01T00:00Z", "2013-03-01T01:00Z"],
    ]
    validated(MARCH + timedelta(hours=1), "passed")
    validated(MARCH, "passed")
    assert said() == moved


def test_what_a_canary_of_another_schema_serves_is_left_out(judged: Path) -> None:
    stores = Stores(Settings(home=judged), ReplayedClock(MARCH), actor="test")
    at = MARCH + timedelta(hours=2)
    stores.spool.append(
        [a_record(500 + n, prediction_id=f"y{n}", version="2.0.0", role="canary", event_time=at) for n in range(6)]
    )
    stores.rollups.catch_up(
        stores.spool, lambda _model, _version: {"hour": NumericBins((5.0,)), "altitude": SCORE_BINS}
    )
    *_, last = drift_report(judged)[0].values()
    assert (last["verdict"].value, last["rows"].value) == ("retrain", 302)  # two in the hours before
