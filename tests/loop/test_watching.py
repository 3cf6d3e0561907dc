"""One look at all models: on real stores, with the traffic of some minutes and days in place of theirs."""

import shutil
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mlops_dagster.alerting import Alert, EventKind, Rule, Severity
from mlops_dagster.alerting.judging import Condition
from mlops_dagster.clock import ReplayedClock
from mlops_dagster.errors import StorageError
from mlops_dagster.loop.judging.findings import DRIFT, VALIDATION, HourOfDrift, ValidatedHour
from mlops_dagster.loop.retraining.train import Cause, tell_retraining
from mlops_dagster.loop.watching import look
from mlops_dagster.monitoring import DriftPolicy, DriftReport, FeatureDrift, Verdict, make_baseline
from mlops_dagster.monitoring.drift.report import ScoreDrift
from mlops_dagster.predictions import PredictionRecord
from mlops_dagster.registry import ModelVersion, Stage
from mlops_dagster.settings import Settings
from mlops_dagster.statistics import KsResult
from mlops_dagster.stores import Stores
from tests.support.two_versions import MODEL, SCHEMA, days, estimator, register

START = days(10)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


class World:
    """A home with one champion, and a clock that goes on with the traffic."""

    def __init__(self, home: Path) -> None:
        frame = pd.DataFrame({"x": np.linspace(-2, 2, 2000), "carrier": np.resize(["AA", "UA"], 2000)})
        labels = np.where(frame["x"] > 0, "late", "ok").astype(object)
        self.baseline = make_baseline(frame, SCHEMA, scores=np.full(2000, 0.5), labels=labels)
        self.home = home
        self.clock = ReplayedClock(START)
        self.stores = Stores(Settings(home=home), self.clock, actor="test")
        self.answers: list[tuple[str, str]] = []
        self.random = np.random.default_rng(3)
        self.bins = {name: its.bins for name, its in {**self.baseline.features, "score": self.baseline.score}.items()}

    def register(self, version: str, *, champion: bool = True) -> ModelVersion:
        at = self.clock.now()
        return register(
            self.home, version, estimator(0), trained_until=days(9), at=at, baseline=self.baseline, champion=champion
        )

    def serve(
        self,
        duration: timedelta,
        per_minute: int,
        *,
        failing: float = 0.0,
        latency_ms: float = 20.0,
        null: float = 0.0,
        looks: bool = True,
    ) -> None:
        """Serve so many requests a minute, and look at the end of every minute."""
        for _ in range(duration // MINUTE):
            self.append(self.clock.now(), per_minute, failing=failing, latency_ms=latency_ms, null=null)
            self.pass_time(MINUTE, looks=looks)

    def append(
        self, at: datetime, number: int, *, failing: float = 0.0, latency_ms: float = 20.0, null: float = 0.0
    ) -> None:
        """Write so many requests of the minute `at` to the spool."""
        records = []
        for each in range(number):
            name = f"{at:%d%H%M%S}-{each}"
            failed = bool(self.random.random() < failing)
            records.append(
                PredictionRecord(
                    prediction_id=name, request=name, model=MODEL, version="1.0.0", role="champion", weight=1.0,
                    epoch=1, salt="", key=None, event_time=at, received_at=at,
                    status="failed" if failed else "ok", error="model_failed" if failed else None,
                    features={"x": None if self.random.random() < null else 1.0, "carrier": "AA"},
                    prediction=None if failed else "late", score=None if failed else 0.5,
                    latency_ms=latency_ms, process="test", row=0,
                )
            )  # fmt: skip
        self.stores.spool.append(records)
        self.answers += [(each.prediction_id, "late") for each in records if each.status == "ok"]

    def label(self, wrong: float) -> None:
        """Label all answers that wait for a label; a share of them was wrong."""
        bad = self.random.random(len(self.answers)) < wrong
        labels = [("ok" if each else right) for (_, right), each in zip(self.answers, bad, strict=True)]
        told = [(name, label, self.clock.now()) for (name, _), label in zip(self.answers, labels, strict=True)]
        self.stores.spool.feedback(told, model=MODEL)
        self.answers = []

    def pass_time(self, time: timedelta, *, looks: bool = True) -> None:
        self.clock.advance_to(self.clock.now() + time)
        self.stores.rollups.catch_up(self.stores.spool, lambda _model, _version: self.bins)
        if looks:
            look(self.stores, self.clock.now())

    def alert(self, rule: Rule) -> Alert | None:
        """Return the last alert of a rule, open or not."""
        return next((each for each in reversed(self.stores.alerts.list(resolved=True)) if each.rule == rule), None)

    def steps(self, rule: Rule) -> list[EventKind]:
        return [each.kind for each in self.stores.alerts.events(MODEL) if each.rule == rule]

    def close(self) -> None:
        for each in (self.stores.alerts, self.stores.watches, self.stores.rollups, self.stores.reports):
            each.close()

    def publish(self, alerts: dict[str, object], location: str | None = None) -> None:
        self.stores.registry.publish_policies(MODEL, {"alerts": alerts}, location=location, reason="a test")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with one champion that was looked at once."""
    home = tmp_path_factory.mktemp("home")
    world = World(home)
    world.register("1.0.0")
    look(world.stores, world.clock.now())
    world.close()
    return home


@pytest.fixture
def world(home: Path, tmp_path: Path) -> Iterator[World]:
    world = World(Path(shutil.copytree(home, tmp_path / "home")))
    yield world
    world.close()


def opened(world: World, rule: Rule) -> Alert:
    alert = world.alert(rule)
    assert alert is not None
    assert alert.open
    return alert


def test_requests_that_fail_are_told_once_and_resolved_with_their_numbers(world: World) -> None:
    world.serve(10 * MINUTE, 60)
    assert world.alert(Rule.ERROR_RATE) is None
    world.serve(6 * MINUTE, 60, failing=0.5)
    alert = opened(world, Rule.ERROR_RATE)
    assert (alert.severity, alert.version) == (Severity.CRITICAL, "1.0.0")
    assert alert.since is not None
    assert abs(alert.since - (START + 10 * MINUTE)) <= MINUTE
    reading = alert.reading
    assert reading is not None
    assert reading.low is not None
    assert reading.high is not None
    assert reading.limit == 1.0
    assert reading.limit < reading.low < reading.value < reading.high
    assert alert.summary.startswith("1.0.0: the share of failed requests is ")
    assert "limit 1 %, proven; " in alert.summary
    assert alert.evidence == {"version": "1.0.0", "false_alarms_a_year": 1.0, "rows_per_observation": 1.0}
    world.serve(20 * MINUTE, 90, looks=False)
    world.pass_time(MINUTE)
    world.pass_time(MINUTE)
    assert world.steps(Rule.ERROR_RATE)[0] is EventKind.OPENED
    assert world.steps(Rule.ERROR_RATE)[-1] is EventKind.RESOLVED
    assert world.steps(Rule.ERROR_RATE).count(EventKind.OPENED) == 1


def test_labels_count_when_they_come_however_old_their_answers_are(world: World) -> None:
    world.publish({"accuracy": {"rows_per_observation": 1}})
    world.serve(5 * MINUTE, 100, looks=False)
    world.pass_time(timedelta(days=3))
    assert world.alert(Rule.ACCURACY) is None
    watch = world.stores.watches.all(MODEL)[MODEL, Rule.ACCURACY]
    assert (watch.condition, watch.missing) == (Condition.CANNOT_TELL, "0 of 200 labels")
    world.label(wrong=0.02)
    world.pass_time(HOUR)
    assert world.alert(Rule.ACCURACY) is None
    world.serve(5 * MINUTE, 100, looks=False)
    world.pass_time(timedelta(days=3))
    world.label(wrong=0.3)
    world.pass_time(HOUR)
    alert = opened(world, Rule.ACCURACY)
    assert alert.severity is Severity.CRITICAL
    assert alert.reading is not None
    assert (alert.reading.limit, alert.reading.counted, alert.reading.unit) == (91.0, "labels", "%")
    assert 60 < alert.reading.value < 80
    before = alert.times
    world.pass_time(10 * MINUTE)  # nothing new: no label counts twice
    again = opened(world, Rule.ACCURACY)
    assert again.times == before


def test_slow_answers_are_told_after_five_minutes(world: World) -> None:
    world.serve(3 * MINUTE, 100)
    world.serve(13 * MINUTE, 100, latency_ms=300.0)
    alert = opened(world, Rule.P99_MS)
    assert alert.severity is Severity.WARNING
    assert alert.reading is not None
    assert alert.reading.value == pytest.approx(300, rel=0.03)
    assert alert.summary.startswith("1.0.0: the 99th percentile of the latency is ")


def test_few_requests_are_judged_over_a_day(world: World) -> None:
    world.serve(90 * MINUTE, 3, looks=False, latency_ms=900.0)
    world.pass_time(MINUTE)
    watch = world.stores.watches.all(MODEL)[MODEL, Rule.P99_MS]
    assert watch.gauges[""].samples == 270  # 180 in the last hour
    world.pass_time(5 * MINUTE)
    assert opened(world, Rule.P99_MS).severity is Severity.CRITICAL


def test_missing_values_name_the_feature(world: World) -> None:
    world.pass_time(HOUR)
    world.serve(4 * MINUTE, 200, null=0.2, looks=False)
    world.pass_time(75 * MINUTE)
    alert = opened(world, Rule.NULL_RATE)
    assert "of x is" in alert.summary
    features = alert.evidence["features"]
    assert isinstance(features, dict)
    assert list(features) == ["x"]


def test_an_hour_without_requests_is_told_if_the_week_before_had_some(world: World) -> None:
    world.append(START + 70 * MINUTE, 60)
    world.pass_time(timedelta(days=7) + 90 * MINUTE, looks=False)
    for _ in range(5):
        world.pass_time(5 * MINUTE)
    alert = opened(world, Rule.NO_TRAFFIC)
    assert alert.summary == "no request for an hour; the same hour a week before had 60"
    world.serve(2 * MINUTE, 1)
    assert world.steps(Rule.NO_TRAFFIC) == [EventKind.OPENED, EventKind.RESOLVED]


def test_rules_that_lack_numbers_for_a_day_are_one_warning(world: World) -> None:
    world.pass_time(HOUR)
    world.pass_time(timedelta(hours=22))
    assert world.alert(Rule.NO_DATA) is None
    world.pass_time(2 * HOUR)
    alert = opened(world, Rule.NO_DATA)
    assert alert.severity is Severity.WARNING
    assert "accuracy: 0 of 200 labels" in alert.summary
    world.publish({"accuracy": None, "error_rate": None, "p99_ms": None, "null_rate": None})
    world.pass_time(HOUR)
    assert world.steps(Rule.NO_DATA) == [EventKind.OPENED, EventKind.RESOLVED]


def test_reports_are_late_where_a_code_location_makes_them(world: World) -> None:
    world.pass_time(9 * HOUR)
    assert world.alert(Rule.REPORT_LATE) is None
    world.publish({}, location="flights")
    world.pass_time(HOUR)
    assert world.alert(Rule.REPORT_LATE) is None
    world.pass_time(2 * HOUR)
    alert = opened(world, Rule.REPORT_LATE)
    assert (alert.severity, alert.reading is not None and alert.reading.unit) == (Severity.WARNING, "times")
    last = world.clock.now().replace(minute=0) - HOUR
    for kind, content in ((VALIDATION, ValidatedHour(3)), (DRIFT, HourOfDrift())):
        world.stores.reports.save(kind, MODEL, last, content, verdict="stable")  # type: ignore[misc]
    world.pass_time(10 * MINUTE)
    assert world.steps(Rule.REPORT_LATE) == [EventKind.OPENED, EventKind.RESOLVED]


def drift(verdict: Verdict, *, moved: bool = False) -> HourOfDrift:
    feature = FeatureDrift("x", 0.31, 0.02, verdict, False, 400.0)
    score = ScoreDrift(KsResult(0.2, 1e-9), 0.05, 0.2, Verdict.MONITOR if moved else Verdict.STABLE)
    return HourOfDrift(DriftReport(verdict, 400, (feature,), score, DriftPolicy()))


def test_the_verdicts_of_the_drift_report_open_and_three_stable_hours_resolve(world: World) -> None:
    def hour(verdict: Verdict, *, moved: bool = False) -> None:
        start = world.clock.now().replace(minute=0)
        content = drift(verdict, moved=moved)
        world.stores.reports.save(DRIFT, MODEL, start, content, verdict=verdict.value, champion="1.0.0")
        world.pass_time(HOUR)

    policies = {"alerts": {}, "retraining": {"cadence": None}}
    world.stores.registry.publish_policies(MODEL, policies, location="flights", reason="a test")
    hour(Verdict.MONITOR)
    assert opened(world, Rule.PSI).severity is Severity.WARNING
    assert opened(world, Rule.PSI).done.startswith("no retraining: drift, but none over the limit for a retraining")
    hour(Verdict.RETRAIN, moved=True)
    assert opened(world, Rule.PSI).severity is Severity.CRITICAL
    assert opened(world, Rule.PSI).done.startswith("a retraining is asked for: drift of x, which moves the scores")
    assert opened(world, Rule.KS).done == opened(world, Rule.PSI).done
    cause = Cause("drift", "drift of x", {})
    tell_retraining(world.stores, MODEL, cause, run="886cb5fa-10ab")
    assert opened(world, Rule.PSI).done == "a retraining has started (drift), run 886cb5fa: drift of x"
    assert "x has a PSI of 0.310, over 0.25" in opened(world, Rule.PSI).summary
    assert opened(world, Rule.KS).severity is Severity.WARNING
    readings = [opened(world, rule).reading for rule in (Rule.PSI, Rule.KS)]
    assert [(each.value, each.limit) for each in readings if each is not None] == [(0.31, 0.25), (0.2, 0.1)]
    for _ in range(3):
        hour(Verdict.STABLE)
        hour(Verdict.INCONCLUSIVE)  # neither resolves nor opens
    assert opened(world, Rule.PSI).open
    for _ in range(4):
        hour(Verdict.STABLE)
    kinds = [kind for kind in world.steps(Rule.PSI) if kind is not EventKind.SEEN]
    assert kinds == [EventKind.OPENED, EventKind.ESCALATED, EventKind.ACTED, EventKind.RESOLVED]
    assert world.steps(Rule.KS)[-1] is EventKind.RESOLVED


def test_a_report_that_is_too_old_says_nothing_unless_none_can_be_newer(world: World) -> None:
    start = world.clock.now().replace(minute=0)
    world.stores.reports.save(DRIFT, MODEL, start, drift(Verdict.MONITOR), verdict="monitor", champion="1.0.0")
    world.pass_time(10 * HOUR, looks=False)
    look(world.stores, world.clock.now())
    watch = world.stores.watches.all(MODEL)[MODEL, Rule.PSI]
    assert watch.missing == "no drift report of the last 6 hours"
    world.pass_time(10 * MINUTE, looks=False)
    look(world.stores, world.clock.now(), reports_within=49 * HOUR)
    assert opened(world, Rule.PSI).severity is Severity.WARNING


def test_labels_that_are_later_than_usual_are_told(world: World) -> None:
    for _ in range(9):
        world.serve(2 * MINUTE, 15, looks=False)
        world.pass_time(12 * HOUR)
        world.pass_time(12 * HOUR - 4 * MINUTE)
        world.label(wrong=0.0)
        world.serve(2 * MINUTE, 15, looks=False)
    assert world.alert(Rule.LABEL_DEBT) is None
    for _ in range(16):
        world.pass_time(6 * HOUR)
    alert = opened(world, Rule.LABEL_DEBT)
    assert "no labels come for" in alert.summary
    world.label(wrong=0.0)
    world.pass_time(HOUR)
    world.pass_time(2 * HOUR)
    assert world.steps(Rule.LABEL_DEBT)[-1] is EventKind.RESOLVED


def test_a_look_that_was_cut_off_opens_nothing_twice(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.serve(10 * MINUTE, 60)
    world.serve(5 * MINUTE, 60, failing=0.5, looks=False)

    def cut_off(*_args: object) -> None:
        raise StorageError("the machine went down")

    with monkeypatch.context() as broken:
        broken.setattr(world.stores.watches, "save", cut_off)
        with pytest.raises(StorageError):
            look(world.stores, world.clock.now())
    before = opened(world, Rule.ERROR_RATE)
    look(world.stores, world.clock.now())
    assert opened(world, Rule.ERROR_RATE).id == before.id
    assert world.steps(Rule.ERROR_RATE).count(EventKind.OPENED) == 1
    look(world.stores, world.clock.now())
    assert opened(world, Rule.ERROR_RATE).times == before.times + 1


def end_by_another_version(world: World) -> None:
    world.clock.advance_to(world.clock.now() + MINUTE)
    world.register("1.1.0", champion=False)
    version = world.stores.registry.get(MODEL, "1.1.0")
    world.stores.registry.transition(version, Stage.PRODUCTION, force=True, reason="a test")


def end_by_policy(world: World) -> None:
    world.publish({"error_rate": None})


def end_without_champion(world: World) -> None:
    world.clock.advance_to(world.clock.now() + MINUTE)
    version = world.stores.registry.get(MODEL, "1.0.0")
    world.stores.registry.transition(version, Stage.DEPRECATED, reason="a test")


@pytest.mark.parametrize(
    ("end", "reason"),
    [
        (end_by_another_version, "1.1.0 serves now"),
        (end_by_policy, "the rule is turned off"),
        (end_without_champion, "no version serves any more"),
    ],
)
def test_an_alert_ends_with_its_version_or_its_rule(world: World, end: Callable[[World], None], reason: str) -> None:
    world.serve(10 * MINUTE, 60)
    world.serve(6 * MINUTE, 60, failing=0.5)
    opened(world, Rule.ERROR_RATE)
    end(world)
    world.pass_time(MINUTE)
    alert = world.alert(Rule.ERROR_RATE)
    assert alert is not None
    assert alert.resolution == reason
    assert world.stores.alerts.list(MODEL) == []


def test_one_model_that_cannot_be_judged_does_not_stop_the_others(world: World) -> None:
    world.stores.registry.publish_policies("awful", {"alerts": {"accuracy": {"warning": 7}}})
    world.stores.registry.register("awful", estimator(0), "1.0.0", schema=SCHEMA)
    version = world.stores.registry.get("awful", "1.0.0")
    world.stores.registry.transition(version, Stage.PRODUCTION, force=True, reason="a test")
    world.serve(10 * MINUTE, 60)
    world.serve(6 * MINUTE, 60, failing=0.5, looks=False)
    found = look(world.stores, world.clock.now())
    assert (found.models, list(found.failed)) == (2, ["awful"])
    opened(world, Rule.ERROR_RATE)


def test_a_look_takes_in_requests_that_were_counted_late(world: World) -> None:
    world.serve(40 * MINUTE, 60, looks=False)
    world.pass_time(MINUTE)
    for minute in range(30, 36):
        world.append(START + minute * MINUTE + timedelta(seconds=30), 60, failing=0.9)
        world.pass_time(MINUTE)
    alert = opened(world, Rule.ERROR_RATE)
    assert alert.reading is not None
    world.pass_time(10 * MINUTE)
    assert opened(world, Rule.ERROR_RATE).times == alert.times  # none of them counts twice
