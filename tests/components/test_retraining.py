"""The retraining sensor and job, and the daily report that they act on: real runs of Dagster, on real stores."""

import logging
import os
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from types import ModuleType

import dagster as dg
import numpy as np
import pandas as pd
import pytest
from dagster._core.events import DagsterEvent  # no public name
from dagster._daemon.monitoring.run_monitoring import check_run_timeout
from typer.testing import CliRunner

from mlops_dagster.board.snapshot import snapshot
from mlops_dagster.cli import app
from mlops_dagster.components.keys import key_of
from mlops_dagster.components.sensors import retraining_failures
from mlops_dagster.components.sensors.retraining_failures import retraining_killed
from mlops_dagster.components.sensors.training_runs import training_runs
from mlops_dagster.loop.judging.findings import DRIFT, HourOfDrift
from mlops_dagster.loop.spec import CardSpec, ModelSpec, TrainingSpec
from mlops_dagster.monitoring import (
    ConceptPolicy,
    DriftPolicy,
    DriftReport,
    FeatureDrift,
    PerformancePolicy,
    Verdict,
    make_baseline,
)
from mlops_dagster.monitoring.drift.report import ScoreDrift
from mlops_dagster.registry import Stage
from mlops_dagster.reports import ReportKind
from mlops_dagster.retraining.policy import RetrainingPolicy
from tests.support.components.at_a_time import DagsterAt, PlatformAt, cells, repository_of
from tests.support.two_versions import CARRIERS, MODEL, SCHEMA, days, estimator, house_at, register, serve

SPEC = ModelSpec(
    model=MODEL,
    trainer="failing_trainer",
    training=TrainingSpec(dataset="made up", window_days=4, evaluation_days=1),
    card=CardSpec(intended_use="tests", failure_modes=("none",), contacts=("me",), fairness_attribute="carrier"),
    performance=PerformancePolicy(floor=0.1, alert=0.2),
    concept=ConceptPolicy(rows_per_observation=2),
    retraining=RetrainingPolicy(cadence=None, cooldown_days=0, retries=2, retry_minutes=0),
)
NOON = days(6.5)


def day_range(first: int, last: int) -> dict[str, str]:
    return {
        "dagster/asset_partition_range_start": f"2013-03-{first:02}",
        "dagster/asset_partition_range_end": f"2013-03-{last:02}",
    }


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """1.0.0 is champion since 3 March; its card says: 100 of 1,000 wrong."""
    version = register(tmp_path, "1.0.0", estimator(0), trained_until=days(0.5), at=days(2))
    assert version.card is not None
    parts = tuple(part.model_copy(update={"rows": 1000}) for part in version.card.evaluation)
    registry = house_at(tmp_path, days(2)).registry
    version = registry.attach_card(version, version.card.model_copy(update={"evaluation": parts}))
    registry.transition(version, Stage.PRODUCTION, force=True, reason="a test")
    return tmp_path


@pytest.fixture
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.local_temp(str(tmp_path_factory.mktemp("dagster"))) as instance:
        yield instance


def metadata_of(instance: dg.DagsterInstance, day: str) -> dict[str, object]:
    chosen = dg.AssetRecordsFilter(asset_key=key_of(SPEC, "performance_report"), asset_partitions=[day])
    made = instance.fetch_materializations(chosen, limit=1).records[0].asset_materialization
    assert made is not None
    return {name: value.value for name, value in made.metadata.items()}


def test_a_champion_proven_worse_is_retrained_with_the_numbers_on_the_run(
    home: Path, instance: dg.DagsterInstance
) -> None:
    serve(home, days(2), 300, flipped=0.05)
    early = DagsterAt(home, instance, days(3.5), SPEC)
    checks = early.run("daily_performance", tags=day_range(3, 3)).get_asset_check_evaluations()
    assert {check.check_name: check.passed for check in checks}["concept_drift"]
    assert "no drift" in str(early.tick("retraining"))

    for bad in (3, 4, 5):
        serve(home, days(bad), 300, flipped=0.4)
    dagster = DagsterAt(home, instance, NOON, SPEC)
    checks = dagster.run("daily_performance", tags=day_range(4, 6)).get_asset_check_evaluations()
    (check,) = [check for check in checks if check.check_name == "concept_drift"]
    assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.WARN)
    said = metadata_of(instance, "2013-03-06")
    # the days of the first run are counted from its reports
    assert "of 1,200 wrong, overall, since about 2013-03-04" in str(said["concept_reason"])
    assert str(said["concept_drift"]).startswith("drifted: 0.")
    assert cells(said["slices_against_evaluation"])[0][0] == "overall"
    assert str(check.description).endswith("; a retraining was asked for")
    assert (said["label_debt"], said["label_debt_answers"]) == (0, 1200)

    (alert,) = house_at(home, NOON).alerts.list(MODEL)
    assert (alert.rule, alert.severity.value, alert.done) == ("concept_drift", "warning", "a retraining was asked for")
    assert "of 1,200 wrong, overall" in alert.summary

    request = dagster.tick("retraining")
    assert isinstance(request, dg.RunRequest)
    tags = request.tags
    assert (tags["mlops/trigger"], tags["mlops/name"], tags["mlops/rows"]) == ("concept_drift", "overall", "1200")
    assert float(tags["mlops/e_value"]) > float(tags["mlops/needed"]) == 80
    config = request.run_config["ops"]["flights__training_set"]["config"]
    assert config["numbers"]["evaluated_wrong"] == "100"
    # a new champion serves: no longer true
    register(home, "2.0.0", estimator(0), trained_until=days(0.5), at=NOON, champion=True)
    DagsterAt(home, instance, NOON, SPEC).run("daily_performance", tags=day_range(6, 6))
    (alert,) = house_at(home, NOON).alerts.list(MODEL, resolved=True)
    assert (alert.open, alert.resolution) == (False, "2.0.0 serves now")
    # what was said days ago, or of another champion, starts nothing
    assert "no drift" in str(DagsterAt(home, instance, NOON + timedelta(days=3), SPEC).tick("retraining"))


def test_a_report_whose_labels_change_is_made_again_and_no_other(home: Path, instance: dg.DagsterInstance) -> None:
    """Labels late, duplicated, corrected, out of order and of nobody."""
    for day in (2, 3, 4, 5):
        serve(home, days(day), 50, labelled=day != 3)
    dagster = DagsterAt(home, instance, NOON, SPEC)
    assert dagster.run("daily_performance", tags=day_range(3, 6)).success

    def asked() -> dg.RunRequest | str:
        schedule = dagster._repository.get_schedule_def("daily_performance_schedule")
        platform = PlatformAt(home=str(home), now=NOON.isoformat())
        with dg.build_schedule_context(
            instance=instance,
            scheduled_execution_time=NOON,
            repository_def=dagster._repository,
            resources={"platform": platform},
        ) as context:
            ticked = schedule.evaluate_tick(context)
        return next(iter(ticked.run_requests or ()), None) or str(ticked.skip_message)

    def come(*labels: tuple[str, str, datetime]) -> None:
        stores = house_at(home, NOON)
        stores.spool.feedback(labels, model=MODEL)
        stores.rollups.catch_up(stores.spool, lambda _model, _version: None)
        stores.log.ship(stores.spool)

    assert asked() == "nothing is missing"
    come(("nobody", "late", NOON))  # of an unknown prediction
    assert asked() == "nothing is missing"
    (before,) = metadata_of(instance, "2013-03-04")["versions"]  # type: ignore[misc]
    assert (before["labelled"], before["accuracy"], before["accuracy_interval"]) == (0, None, None)

    name = f"{days(3):%m%d%H}-"
    come(*((f"{name}{number}", "late", NOON) for number in reversed(range(30))))  # late, the last one first
    request = asked()
    assert isinstance(request, dg.RunRequest)
    assert {key: request.tags[key] for key in day_range(4, 4)} == day_range(4, 4)
    assert dagster.run("daily_performance", tags=dict(request.tags)).success
    (late,) = metadata_of(instance, "2013-03-04")["versions"]  # type: ignore[misc]
    assert late["labelled"] == 30
    low, high = late["accuracy_interval"]
    assert low < late["accuracy"] < high
    assert [part["name"] for part in late["slices"]] == ["carrier=AA", "carrier=UA"]
    assert asked() == "nothing is missing"

    come(*((f"{name}{number}", "late", NOON) for number in range(30)))  # once more the same
    assert asked() == "nothing is missing"
    come(*((f"{name}{number}", "ok", NOON + timedelta(minutes=1)) for number in range(30)))  # corrected
    request = asked()
    assert isinstance(request, dg.RunRequest)
    assert dagster.run("daily_performance", tags=dict(request.tags)).success
    (corrected,) = metadata_of(instance, "2013-03-04")["versions"]  # type: ignore[misc]
    assert corrected["accuracy"] == pytest.approx(1 - late["accuracy"])
    assert metadata_of(instance, "2013-03-04")["label_debt"] == 20


def test_a_day_without_labels_has_an_estimate_from_scores(tmp_path: Path, instance: dg.DagsterInstance) -> None:
    """Of the evaluation 90 % of the answers "late" were right and 80 % of those "ok"."""
    said, late = ["late", "ok"] * 100, ["late"] * 180 + ["ok"] * 20
    truths = [truth for pair in zip(late[::2], ["ok"] * 80 + ["late"] * 20, strict=True) for truth in pair]
    frame = pd.DataFrame({"x": np.linspace(-2, 2, 200), "carrier": ["AA", "UA"] * 100})
    plain = make_baseline(frame, SCHEMA, scores=[0.5] * 200, labels=truths)
    baseline = replace(plain, calibration=SCHEMA.task.calibrate(said, np.full(200, 0.5), truths))
    registry = house_at(tmp_path, days(2)).registry
    version = registry.register(MODEL, estimator(0), "1.0.0", schema=SCHEMA, baseline=baseline)
    registry.transition(version, Stage.PRODUCTION, force=True, reason="a test")
    serve(tmp_path, days(2), 300, labelled=False)
    assert DagsterAt(tmp_path, instance, days(3.5), SPEC).run("daily_performance", tags=day_range(3, 3)).success
    found = metadata_of(instance, "2013-03-03")
    assert found["estimated_rows"] == 300
    assert found["estimated_accuracy"] == pytest.approx(0.85, abs=0.01)
    assert found["estimated_accuracy_low"] < found["estimated_accuracy"] < found["estimated_accuracy_high"]  # type: ignore[operator]  # numbers
    assert "without labels: accuracy 0.847 (" in str(found["estimate"])


NO_REPORT = "no drift report of this champion in the last days"


def drifted(home: Path, hour: datetime, version: str, verdict: Verdict) -> None:
    """The hour's report, made now."""
    score = ScoreDrift(None, None, None, Verdict.INCONCLUSIVE)
    feature = FeatureDrift("x", 0.4, 0.1, verdict, report_only=False, independent_rows=100)
    report = DriftReport(verdict, 100, (feature,), score, DriftPolicy())
    house_at(home, NOON).reports.save(DRIFT, MODEL, hour, HourOfDrift(report), verdict=verdict, champion=version)


def test_only_the_newest_hour_of_this_champion_starts_a_retraining(home: Path, instance: dg.DagsterInstance) -> None:
    dagster = DagsterAt(home, instance, NOON, SPEC)
    hour = timedelta(hours=1)
    drifted(home, NOON - hour, "1.0.0", Verdict.RETRAIN)
    request = dagster.tick("retraining")
    assert isinstance(request, dg.RunRequest)
    assert (request.tags["mlops/trigger"], request.tags["mlops/psi_x"]) == ("drift", "0.4")
    assert DagsterAt(home, instance, NOON + timedelta(days=3), SPEC).tick("retraining") == NO_REPORT
    drifted(home, NOON - hour, "1.0.0", Verdict.STABLE)
    drifted(home, NOON - 9 * hour, "1.0.0", Verdict.RETRAIN)  # an old hour, made again by hand
    assert dagster.tick("retraining") == "no drift"
    drifted(home, NOON - hour, "0.9.0", Verdict.RETRAIN)  # of who was champion before
    assert dagster.tick("retraining") == NO_REPORT


def test_of_all_reports_a_sensor_reads_the_newest_alone(
    home: Path, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of a model of hundreds of features are large, and it looks every minute."""
    for hours in range(1, 40):
        drifted(home, NOON - timedelta(hours=hours), "1.0.0", Verdict.STABLE)
    drifted(home, NOON - timedelta(hours=1), "1.0.0", Verdict.RETRAIN)  # made again
    read: list[str] = []
    parse = ReportKind.from_json

    def counted(kind: ReportKind[HourOfDrift], body: str) -> HourOfDrift:
        read.append(kind.name)
        return parse(kind, body)

    monkeypatch.setattr(ReportKind, "from_json", counted)
    request = DagsterAt(home, instance, NOON, SPEC).tick("retraining")
    assert isinstance(request, dg.RunRequest)
    assert read.count("drift") == 1  # of the newest hour, as it was last made


def test_an_old_day_made_again_tells_nobody(home: Path, instance: dg.DagsterInstance) -> None:
    """The alert of the newest day stays what it is, though the champion did well on the old one."""
    serve(home, days(2), 300, flipped=0.05)
    for bad in (3, 4, 5):
        serve(home, days(bad), 300, flipped=0.4)
    dagster = DagsterAt(home, instance, NOON, SPEC)
    dagster.run("daily_performance", tags=day_range(3, 6))
    (alert,) = house_at(home, NOON).alerts.list(MODEL)
    assert alert.rule == "concept_drift"
    assert isinstance(dagster.tick("retraining"), dg.RunRequest)
    assert dagster.run("daily_performance", tags=day_range(3, 3)).success
    assert house_at(home, NOON).alerts.list(MODEL) == [alert]
    assert isinstance(dagster.tick("retraining"), dg.RunRequest)


@pytest.fixture
def trainer(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Fails as often as its `failures` say."""
    module = ModuleType("failing_trainer")

    def training_set(start: datetime, end: datetime) -> pd.DataFrame:
        if module.failures:
            module.failures -= 1
            name = "Ada"  # of a row; the line below is in the traceback
            raise ConnectionError(f"the warehouse is away, with the row of {name}")
        x = np.random.default_rng(0).uniform(-2, 2, 800)
        return pd.DataFrame(
            {
                "x": x,
                "carrier": np.resize(CARRIERS, 800),
                "label": np.where(x > 0, "late", "ok"),
                "event_time": start + (end - start) / 800 * np.arange(800),
            }
        )

    module.SCHEMA, module.failures = SCHEMA, 0
    module.training_set, module.estimator = training_set, lambda: estimator(0)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return module


def test_a_retraining_that_fails_is_tried_again_told_and_over_with_the_next_success(
    home: Path, instance: dg.DagsterInstance, trainer: ModuleType
) -> None:
    dagster = DagsterAt(home, instance, NOON, SPEC)

    def alerts() -> list[tuple[str, str, int, bool]]:
        found = house_at(home, NOON).alerts.list(MODEL, resolved=True)
        return [(alert.severity.value, alert.done, alert.times, alert.open) for alert in found]

    def retrain() -> bool:
        job = dagster._repository.get_job("flights_retrain")
        return job.execute_in_process(instance=instance, raise_on_error=False).success

    trainer.failures = 2
    before = house_at(home, NOON).registry.deployment(MODEL)
    assert retrain()
    assert alerts() == [("warning", "retry 2 of 2 in 0 minutes", 2, False)]
    # only a challenger comes out of it
    registry = house_at(home, NOON).registry
    assert registry.deployment(MODEL) == before
    assert registry.get(MODEL, "1.0.1").stage is Stage.REGISTERED

    trainer.failures = 3
    assert not retrain()
    assert alerts()[1:] == [("critical", "", 3, True)]
    # of a foreign error its class alone is told: its text may quote a row
    assert house_at(home, NOON).alerts.list(MODEL)[0].summary == "training_set: ConnectionError"
    kept = "".join(str(entry) for run in instance.get_runs() for entry in instance.all_logs(run.run_id))
    assert "Ada" not in kept
    assert "ConnectionError; its text may quote rows, so it is not kept: `mlops trainer check failing_trainer`" in kept
    assert "test_retraining.py" in kept, "where it was raised"
    assert retrain()
    assert alerts()[1][3] is False


def ends(_features: object, _labels: object) -> None:
    """Leaves the process, as the library of a team may."""
    raise SystemExit(1)


WRONG: dict[str, tuple[Callable[[pd.DataFrame], object], str]] = {
    "no labels": (
        lambda rows: rows.drop(columns="label"),
        "training_set: `training_set` of failing_trainer: there is no column 'label', but ",
    ),
    "no rows": (lambda rows: rows[:0], "training_set fails its suite: there are no rows"),
    "no frame": (
        lambda _rows: None,
        "training_set: `training_set` of failing_trainer: it gave a NoneType, not a DataFrame",
    ),
    "no times": (
        lambda rows: rows.drop(columns="event_time"),
        "training_set: `training_set` of failing_trainer: there is no column 'event_time', but ",
    ),
    "times of nowhere": (
        lambda rows: rows.assign(event_time=rows["event_time"].dt.tz_localize(None)),
        "training_set: `training_set` of failing_trainer: 'event_time' has naive times, of no zone; write ",
    ),
    "an end that is no exception": (lambda rows: rows, "flights__candidate: SystemExit; the run"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_whatever_ends_a_retraining_somebody_is_told_once_and_why(
    kind: str, home: Path, instance: dg.DagsterInstance, trainer: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil, reason = WRONG[kind]
    good = trainer.training_set
    monkeypatch.setattr(trainer, "training_set", lambda start, end: spoil(good(start, end)))
    if kind == "an end that is no exception":
        monkeypatch.setattr(trainer, "fit", ends, raising=False)
    job = DagsterAt(home, instance, NOON, SPEC)._repository.get_job("flights_retrain")
    result = job.execute_in_process(instance=instance, raise_on_error=False)
    assert not result.success
    for _ in range(2):  # nobody is told twice
        see_failure(home, instance, result)
    (alert,) = house_at(home, NOON).alerts.list(MODEL)
    assert (alert.rule, alert.severity.value, alert.evidence["run"]) == ("retraining_failed", "critical", result.run_id)
    assert alert.summary.startswith(reason)
    assert alert.times == 1  # the rows and the module are as wrong the next time


def test_what_no_retry_would_better_is_not_tried_again(
    home: Path, instance: dg.DagsterInstance, trainer: ModuleType
) -> None:
    job = DagsterAt(home, instance, NOON, SPEC)._repository.get_job("flights_retrain")
    config = {"ops": {"flights__training_set": {"config": {"as_of": "2013-03-07T12:00"}}}}
    assert not job.execute_in_process(config, instance=instance, raise_on_error=False).success
    del trainer.estimator
    assert not job.execute_in_process(instance=instance, raise_on_error=False).success
    (alert,) = house_at(home, NOON).alerts.list(MODEL)
    assert (alert.severity.value, alert.times, alert.evidence["retries"]) == ("critical", 2, 0)
    assert "the trainer 'failing_trainer' lacks estimator" in alert.summary


def test_terminating_a_run_ends_its_wait_for_a_retry(
    home: Path, instance: dg.DagsterInstance, trainer: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = SPEC.model_copy(update={"retraining": RetrainingPolicy(cadence=None, retries=2, retry_minutes=10)})
    waits: list[float] = []

    def terminated_while_waiting(seconds: float) -> None:
        waits.append(seconds)
        instance.report_run_canceling(instance.get_runs()[0])
        os.kill(os.getpid(), signal.SIGINT)  # as Dagster's Terminate sends it

    monkeypatch.setattr(retraining_failures, "sleep", terminated_while_waiting)
    trainer.failures = 1
    dagster = DagsterAt(home, instance, NOON, slow)
    with pytest.raises(dg.DagsterExecutionInterruptedError):
        dagster.run("flights_retrain")
    (run,) = instance.get_runs()
    assert (waits, run.status) == ([600], dg.DagsterRunStatus.CANCELED)


def see_failure(home: Path, instance: dg.DagsterInstance, result: dg.ExecuteInProcessResult) -> None:
    """What the sensor over failed runs does about one."""
    (event,) = [its for its in result.all_events if its.event_type is dg.DagsterEventType.PIPELINE_FAILURE]
    context = dg.build_run_status_sensor_context(
        sensor_name=retraining_killed.name,
        dagster_instance=instance,
        dagster_run=result.dagster_run,
        dagster_event=event,
        resources={"platform": PlatformAt(home=str(home), now=NOON.isoformat())},
    )
    with context:
        retraining_killed(context.for_run_failure())


def test_retrainings_that_fail_are_paid_from_the_budget(
    home: Path, instance: dg.DagsterInstance, trainer: ModuleType
) -> None:
    thrifty = SPEC.model_copy(update={"retraining": RetrainingPolicy(cadence="weekly", budget=2, retries=0)})
    for days_later in (0, 1):
        dagster = DagsterAt(home, instance, NOON + timedelta(days=days_later), thrifty)
        request = dagster.tick("retraining")
        assert isinstance(request, dg.RunRequest)
        trainer.failures = 1
        job = dagster._repository.get_job("flights_retrain")
        config = dict(request.run_config)
        assert not job.execute_in_process(config, instance=instance, raise_on_error=False).success
    dagster = DagsterAt(home, instance, NOON + timedelta(days=2), thrifty)
    said = "2 retrainings in 30 days, 2 of which failed, the budget is 2; the next 2013-04-06"
    assert dagster.tick("retraining") == said
    later = DagsterAt(home, instance, NOON + timedelta(days=30, hours=1), thrifty)
    assert isinstance(later.tick("retraining"), dg.RunRequest)


def test_a_killed_retraining_that_came_again_is_one_in_the_budget(home: Path, instance: dg.DagsterInstance) -> None:
    job = DagsterAt(home, instance, NOON, SPEC)._repository.get_job("flights_retrain")
    config = {"ops": {"flights__training_set": {"config": {"as_of": NOON.isoformat()}}}}
    killed = instance.create_run_for_job(job, run_config=config, tags=job.run_tags)
    retry = {**job.run_tags, "dagster/root_run_id": killed.run_id}
    instance.report_run_failed(killed)
    assert training_runs(instance, [SPEC])[MODEL].failed_at == [NOON]
    again = instance.create_run_for_job(
        job, run_config=config, tags=retry, root_run_id=killed.run_id, parent_run_id=killed.run_id
    )
    instance.report_run_failed(again)
    assert training_runs(instance, [SPEC])[MODEL].failed_at == [NOON]
    last = instance.create_run_for_job(
        job, run_config=config, tags=retry, root_run_id=killed.run_id, parent_run_id=again.run_id
    )
    instance.report_dagster_event(DagsterEvent("PIPELINE_SUCCESS", last.job_name), last.run_id)
    assert training_runs(instance, [SPEC])[MODEL].failed_at == ()


def test_no_second_retraining_while_one_waits_or_runs(home: Path, instance: dg.DagsterInstance) -> None:
    weekly = SPEC.model_copy(update={"retraining": RetrainingPolicy(cadence="weekly")})
    dagster = DagsterAt(home, instance, NOON, weekly)
    assert isinstance(dagster.tick("retraining"), dg.RunRequest)
    run = instance.create_run_for_job(dagster._repository.get_job("flights_retrain"))
    assert dagster.tick("retraining") == "a retraining is running"
    instance.report_run_canceled(run)
    assert isinstance(dagster.tick("retraining"), dg.RunRequest)
    for made, waits in (("prediction_batch", False), ("registered_version", True)):  # from the asset graph, by hand
        chosen = {key_of(SPEC, made)}
        job = dagster._repository.get_implicit_job_def_for_assets(list(chosen))
        assert job is not None
        instance.create_run_for_job(job, asset_selection=frozenset(chosen))
        assert (dagster.tick("retraining") == "a retraining is running") is waits


def test_a_run_that_nobody_ends_blocks_no_retraining_for_ever(home: Path, instance: dg.DagsterInstance) -> None:
    """Its code server is gone as well, so nobody tells of its end but Dagster's run monitoring."""
    hasty = SPEC.model_copy(update={"retraining": RetrainingPolicy(cadence="weekly", max_hours=1e-3)})
    dagster = DagsterAt(home, instance, NOON, hasty)
    job = dagster._repository.get_job("flights_retrain")
    run = instance.create_run_for_job(job, tags=job.run_tags)
    assert (run.tags["dagster/max_retries"], run.tags["dagster/max_runtime"]) == ("2", "4")
    instance.report_dagster_event(DagsterEvent("PIPELINE_START", run.job_name), run.run_id)
    assert dagster.tick("retraining") == "a retraining is running"
    (record,) = instance.get_run_records()
    assert record.start_time is not None
    long_ago = record._replace(start_time=record.start_time - 5)
    check_run_timeout(instance, long_ago, logging.getLogger("test"), 0)
    assert isinstance(dagster.tick("retraining"), dg.RunRequest)


def test_a_fleet_that_is_due_at_once_is_retrained_in_turn(
    home: Path, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As many at a time as the setting says, the gravest first; one that failed today leaves its place to others.

    The others are told as waiting, in Dagster, on the page and by the CLI.
    """
    monkeypatch.setenv("MLOPS_MAX_RETRAININGS", "2")
    monkeypatch.setenv("MLOPS_HOME", str(home))
    weekly = RetrainingPolicy(cadence="weekly")
    names = [f"shop-{letter}" for letter in "abcd"]
    specs = [SPEC.model_copy(update={"model": name, "retraining": weekly}) for name in (MODEL, *names)]
    artifact = home / "any.onnx"
    artifact.write_text("any")
    registry = house_at(home, days(2)).registry
    for name in names:
        registry.transition(registry.register(name, artifact, "1.0.0"), Stage.PRODUCTION, force=True, reason="a test")
    drifted(home, NOON - timedelta(hours=1), "1.0.0", Verdict.RETRAIN)  # of MODEL
    platform = PlatformAt(home=str(home), now=NOON.isoformat())
    repository = repository_of(platform, *specs)

    def asked() -> list[dg.RunRequest]:
        with dg.build_sensor_context(instance, repository_def=repository, resources={"platform": platform}) as context:
            return list(repository.get_sensor_def("retraining").evaluate_tick(context).run_requests or ())

    def launch(request: dg.RunRequest) -> dg.DagsterRun:
        job = repository.get_job(str(request.job_name))
        tags = {**job.run_tags, **request.tags, "dagster/run_key": str(request.run_key)}
        return instance.create_run_for_job(job, run_config=dict(request.run_config), tags=tags)

    def waiting() -> str:
        content = snapshot(house_at(home, NOON), NOON).watching.content
        assert content is not None
        assert content.retrainings in CliRunner().invoke(app, ["models", "list"]).stderr
        return content.retrainings

    first, second = asked()
    said = waiting()
    assert said.startswith("3 retrainings wait for their turn (MLOPS_MAX_RETRAININGS is 2): shop-")
    assert second.job_name not in {f"{name.replace('-', '_')}_retrain" for name in said.split(": ")[1].split(", ")}
    assert first.job_name == "flights_retrain"
    assert [each.run_key for each in asked()] == [first.run_key, second.run_key], "which Dagster launches once"
    runs = [launch(each) for each in (first, second)]
    assert asked() == []
    instance.report_run_failed(runs[1])
    (third,) = asked()
    assert third.job_name not in (first.job_name, second.job_name)
    instance.report_run_failed(runs[0])
    assert len({each.job_name for each in asked()} - {first.job_name, second.job_name}) == 2
