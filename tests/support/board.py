"""A control room in which every state occurs: for tests of the pages that show one."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from mlops_dagster.alerting import FLEET, Reading, Severity
from mlops_dagster.alerting.judging import Condition
from mlops_dagster.board.snapshot.entities import (
    Accuracy,
    ActiveModels,
    AlertRow,
    Alerts,
    ArmCounts,
    Compared,
    DriftPanel,
    ExplainedDecision,
    FeatureRow,
    Feed,
    FeedEntry,
    Figures,
    Hint,
    ImaginedLook,
    KpiRow,
    Latency,
    Letters,
    ModelRow,
    Outlook,
    Page,
    Point,
    PolicyField,
    PolicyPanel,
    Proof,
    Requests,
    RolloutPanel,
    RuleRow,
    Section,
    Series,
    SilenceRow,
    Snapshot,
    Uptime,
    VersionRow,
    Versions,
    Watching,
    WorkerRow,
)
from mlops_dagster.monitoring import Verdict

Content = TypeVar("Content")

AT = datetime(2026, 11, 30, 12, 34, 56, tzinfo=UTC)
DAGSTER = "https://dagster.example.com"
GRAFANA = "https://grafana.example.com/d/mlops"
RUNBOOKS = "https://docs.example.com/runbooks"
HOSTILE = "<img src=x onerror=alert(1)>"
"""A text of a user that must stay text."""


def example() -> Snapshot:
    """Return a snapshot with two models, alerts of every kind, a rollout, drift, and rules in every state."""
    return Snapshot(
        name="acme-prod",
        at=AT,
        past=False,
        page=Page(1, 2, 22, None),
        watching=_now(
            Watching(
                "well",
                AT - timedelta(seconds=12),
                12.0,
                214,
                ("duty:ship gives no sign of life since 12:20",),
                retrainings="1 retraining waits for its turn (MLOPS_MAX_RETRAININGS is 2): shop",
            )
        ),
        figures=_figures(),
        alerts=_now(_alerts()),
        feed=_now(_feed()),
        models=_now(_models()),
        versions=_now(_versions()),
        kpis=_now(_kpis()),
        rollouts=_now((_rollout(),)),
        drift=_now((_drift(),)),
        policies=_now((_policies(),)),
    )


def empty() -> Snapshot:
    """Return the snapshot of a new home: nothing is there yet, and each section says what to do."""
    whole = example()
    make = Hint("no model yet; this makes the first", "mlops models register NAME ARTIFACT --version 1.0.0")
    return replace(
        whole,
        page=Page(1, 1, 0, None),
        watching=_now(Watching("silent", None, None, 0, ())),
        figures=Figures(
            models=_now(ActiveModels(0, 0, 0, 0, 0), make),
            uptime=_now(Uptime(None, 0.998, None, 0, 0, 30, None, None), Hint("no traffic")),
            latency=_now(Latency(None, 0, 1440, None, None, None), Hint("no request in 24 hours")),
            versions=_now(Versions(0, 0, 0), make),
            accuracy=_now(
                Accuracy(None, None, None, 0, 200, 704, 0.1, 0.1),
                Hint("0 of 200 labels, 704 answers wait, the oldest for 7 min", "POST /v1/feedback brings labels"),
            ),
            requests=_now(Requests(0.0, None, None), Hint("no request in ten minutes")),
            grafana=None,
        ),
        alerts=_now(Alerts((), 0, 0, 0, (), 214, True, None), Hint("nothing of 214 rules fires")),
        feed=_now(Feed((), None), Hint("nothing has happened yet")),
        models=_now((), make),
        versions=_now((), make),
        kpis=_now((), make),
        rollouts=_now((), Hint("no rollout; a new version beside a champion gets one")),
        drift=_now((), Hint("no drift report yet; the hourly report makes one")),
        policies=_now((), make),
    )


def troubled() -> Snapshot:
    """Return the snapshot while some stores fail: one section has its last good content, others have none."""
    whole, reason, since = example(), "the database of the rollups does not answer", AT - timedelta(minutes=3)
    return replace(
        whole,
        watching=_now(Watching("silent", AT - timedelta(minutes=9), 540.0, 214, ())),
        figures=replace(
            whole.figures,
            uptime=Section(whole.figures.uptime.content, since, reason),
            latency=Section(None, None, reason),
        ),
        kpis=Section(whole.kpis.content, since, reason),
        drift=Section(None, None, reason),
    )


def past() -> Snapshot:
    """Return a snapshot of the past."""
    whole = example()
    alerts = replace(_alerts(), rules=None)
    return replace(
        whole,
        past=True,
        watching=_now(Watching("unknown", None, None, None, ())),
        alerts=replace(whole.alerts, content=alerts),
    )


def explained(other: bool = True) -> ExplainedDecision:
    """Return a decision with its arithmetic; with `other`, replayed under another policy that parts from it."""
    looks = (
        ImaginedLook(216, AT - timedelta(hours=2), "hold", "hold", "canary, step 1 of 4: 1 %", True, "soak"),
        ImaginedLook(217, AT, "rollback", "hold", "canary, step 1 of 4: 1 %", True, "paired.worse E 95 of 1000"),
    )
    return ExplainedDecision(
        id=217,
        rollout=9,
        model="ranker",
        challenger="3.1.0-rc",
        champion="3.0.2",
        at=AT,
        recorded_at=AT + timedelta(seconds=1),
        outcome="rollback",
        reason=f"paired.worse E 192 of 100 {HOSTILE}",
        by="the evidence",
        stood_at="canary, step 2 of 4: 5 %",
        step_at=AT - timedelta(hours=3),
        deadline=AT + timedelta(days=5, hours=2),
        labels="1,204 pairs of 1,210 labelled rows, 310 of these at this step; 96% of the labels are known",
        without_label=(("canary", 12), ("champion", 240), ("pairs", 55)),
        proofs=_rollout().proofs,
        arms=(
            ArmCounts(0.05, "canary", 1200, 3, 8, 310, 41, 12),
            ArmCounts(0.05, "champion", 22_800, 12, 160, 5_900, 402, 240),
            ArmCounts(None, "challenger, beside", 23_000, 9, 0, 1_204, 160, 55),
        ),
        differences=(),
        policy=(
            PolicyField("alpha", "0.05", "0.001" if other else "0.05", "chance of a wrong rollback or promotion"),
            PolicyField("steps", "[0.01, 0.05, 0.25, 0.5]", "[0.01, 0.05, 0.25, 0.5]", "shares of the canary"),
        ),
        looks=looks if other else (),
        parts_at=217 if other else None,
        caveats=("after the first other decision, evidence is still that of the way which was taken",) if other else (),
        previous=216,
        next=None,
        commands=("mlops rollouts explain 217", "mlops rollouts replay 217 --policy policy.yaml"),
        dagster=f"{DAGSTER}/assets/ranker/deployment",
    )


def _now(content: Content, empty: Hint | None = None) -> Section[Content]:
    return Section(content, AT, empty=empty)


def _figures() -> Figures:
    return Figures(
        models=_now(ActiveModels(20, 2, 1, 1, 1)),
        uptime=_now(Uptime(0.9983, 0.998, 0.61, 4_812_000, 8_180, 30, "ranker", 0.12)),
        latency=_now(Latency(124.0, 38_470, 10, "ranker", 231.0, 200.0)),
        versions=_now(Versions(64, 40, 22)),
        accuracy=_now(Accuracy(0.947, 0.941, 0.952, 8_120, 200, 704, 31.0, 6.5)),
        requests=_now(Requests(3_847.0, 3_434.0, 0.12)),
        grafana=f"{GRAFANA}-fleet?from=now-24h&to=now",
    )


def _alerts() -> Alerts:
    late = AlertRow(
        id=41,
        model="classifier",
        rule="p99_ms",
        subject="",
        version="2.4.1",
        severity=Severity.WARNING,
        summary="2.4.1: the 99th percentile of the latency is 231 ms, limit 200 ms; 3,120 requests",
        reading=Reading(231.0, None, None, 3120, 200.0, "ms", "requests", timedelta(minutes=10)),
        since=AT - timedelta(minutes=14),
        opened_at=AT - timedelta(minutes=9),
        last_seen_at=AT,
        times=4,
        flaps=3,
        done="",
        acknowledged_by=None,
        acknowledged_at=None,
        acknowledged_reason="",
        muted_by=None,
        muted_until=None,
        false_alarms_a_year=None,
        commands=("mlops alerts ack 41 --reason '...'", "mlops log slowest classifier"),
        runbook=f"{RUNBOOKS}/p99_ms.html",
        dagster=f"{DAGSTER}/assets/classifier/deployment",
        retraining=None,
    )
    wrong = replace(
        late,
        id=44,
        model="ranker",
        rule="accuracy",
        version="3.0.2",
        severity=Severity.CRITICAL,
        summary=f"3.0.2: the accuracy is 90.2 % (88.9 to 91.4 %), limit 91 %, proven; 2,310 labels {HOSTILE}",
        reading=Reading(90.2, 88.9, 91.4, 2310, 91.0, "%", "labels", timedelta(hours=24)),
        done="a retraining was started",
        acknowledged_by="ada",
        acknowledged_at=AT - timedelta(minutes=2),
        acknowledged_reason="looking at the carrier codes",
        false_alarms_a_year=1.0,
        flaps=0,
    )
    muted = replace(late, id=45, rule="no_traffic", summary="no request for an hour", muted_by="held")
    silenced = replace(
        late,
        id=46,
        model=FLEET,
        rule="channel_broken",
        version=None,
        subject="chat",
        summary="the channel chat refuses every message",
        muted_by="silence 3",
        muted_until=AT.replace(hour=14, minute=0, second=0),
    )
    silence = SilenceRow(
        3,
        "model *, rule channel_broken",
        AT - timedelta(hours=1),
        AT.replace(hour=14, minute=0, second=0),
        "ada",
        "the chat moves today",
        "mlops alerts unsilence 3 --reason '...'",
    )
    letters = Letters(2, 1, "chat: status 410", "mlops alerts outbox")
    return Alerts((wrong, late, muted, silenced), 2, 1, 1, (silence,), 214, False, letters)


def _feed() -> Feed:
    rolled_back = FeedEntry(
        at=AT - timedelta(minutes=3),
        kind="rollback",
        severity=Severity.CRITICAL,
        model="ranker",
        version="3.1.0-rc",
        rule="",
        title="3.1.0-rc was rolled back at 5 %: paired.worse E 192 of 100",
        details=f"paired.worse: the challenger is worse than it may be by labels of the same rows {HOSTILE}",
        done="rolled back; 3.0.2 answers all requests",
        actor="mlops_dagster",
        alert=None,
        decision=217,
        seconds_to_proof=5400.0,
        seconds_to_zero_traffic=0.4,
        commands=("mlops rollouts explain 217", "mlops rollouts replay 217"),
        runbook=None,
        dagster=f"{DAGSTER}/assets/ranker/deployment",
    )
    opened = replace(
        rolled_back,
        at=AT - timedelta(minutes=9),
        kind="opened",
        severity=Severity.WARNING,
        model="classifier",
        version="2.4.1",
        rule="p99_ms",
        title="2.4.1: the 99th percentile of the latency is 231 ms, limit 200 ms; 3,120 requests",
        details="",
        done="",
        alert=41,
        decision=None,
        seconds_to_proof=None,
        seconds_to_zero_traffic=None,
        commands=("mlops alerts show 41",),
        runbook=f"{RUNBOOKS}/p99_ms.html",
    )
    promoted = replace(
        rolled_back,
        at=AT - timedelta(days=1),
        kind="promoted",
        severity=Severity.INFO,
        version="3.0.2",
        title="3.0.2 was promoted",
        details="",
        done="",
        decision=180,
        seconds_to_proof=None,
        seconds_to_zero_traffic=None,
    )
    return Feed((rolled_back, opened, promoted), AT - timedelta(days=1))


def _models() -> tuple[ModelRow, ...]:
    ranker = ModelRow(
        model="ranker",
        champion="3.0.2",
        canary="3.1.0-rc",
        canary_weight=0.05,
        shadows=("3.2.0-rc",),
        severity=Severity.CRITICAL,
        alerts=1,
        on_hold="",
        on_hold_by="",
        on_hold_since=None,
        owners=("team:search",),
        epoch=18,
        workers=(
            WorkerRow("host-1:4711", 18, True, AT - timedelta(minutes=3)),
            WorkerRow("host-1:4712", 17, False, AT - timedelta(hours=2)),
        ),
        versions=5,
        hidden_versions=2,
        command="mlops models history ranker",
        dagster=f"{DAGSTER}/assets/ranker/deployment",
    )
    held = replace(
        ranker,
        model="classifier",
        champion="2.4.1",
        canary=None,
        canary_weight=0.0,
        shadows=(),
        severity=Severity.WARNING,
        on_hold=f"the last hour failed its validation {HOSTILE}",
        on_hold_by="ada",
        on_hold_since=AT - timedelta(minutes=40),
        workers=(),
        hidden_versions=0,
        command="mlops models release classifier --reason '...'",
    )
    return ranker, held


def _versions() -> tuple[VersionRow, ...]:
    champion = VersionRow(
        model="ranker",
        version="3.0.2",
        trained=AT - timedelta(days=20),
        accuracy=0.951,
        stage="Production",
        rolled_back=False,
        role="champion",
        traffic=0.95,
        on_hold=False,
        why="promoted: superior.paired is proven",
        why_at=AT - timedelta(days=1),
        has_card=True,
        command="mlops models show ranker 3.0.2",
        run=f"{DAGSTER}/runs/886cb5fa",
        asset=f"{DAGSTER}/assets/ranker/registered_version",
    )
    canary = replace(champion, version="3.1.0-rc", stage="Canary", role="canary", traffic=0.05, accuracy=0.96)
    shadow = replace(canary, version="3.2.0-rc", stage="Shadow", role="shadow", traffic=0.0, run=None)
    bad = replace(shadow, version="2.9.0", stage="Deprecated", role=None, rolled_back=True, why=f"bad {HOSTILE}")
    held = replace(champion, model="classifier", version="2.4.1", traffic=1.0, on_hold=True, why="", why_at=None)
    new = replace(held, version="2.5.0", stage="Registered", role=None, traffic=0.0, accuracy=None, has_card=False)
    return champion, canary, shadow, bad, held, new


def _kpis() -> tuple[KpiRow, ...]:
    champion = KpiRow(
        model="ranker",
        version="3.0.2",
        role="champion",
        requests=84_120,
        errors=21,
        error_rate=21 / 84_120,
        p50_ms=18.0,
        p99_ms=124.0,
        accuracy=0.947,
        low=0.941,
        high=0.952,
        labels=8_120,
        awaiting=704,
        grafana=f"{GRAFANA}-model?var-model=ranker&from=now-24h&to=now",
        accuracy_series=_series(0.95, -0.0004),
        p99_series=_series(100.0, 1.0),
        error_series=_series(0.0, 0.00002),
        request_series=_series(3_400.0, 20.0),
    )
    canary = replace(
        champion, version="3.1.0-rc", role="canary", accuracy=None, low=None, high=None, labels=0, accuracy_series=()
    )
    held = replace(champion, model="classifier", version="2.4.1")
    return champion, canary, held


def _series(first: float, slope: float) -> Series:
    begin = AT.replace(minute=0, second=0) - timedelta(hours=23)
    return tuple(
        Point(begin + timedelta(hours=hour), None if hour == 7 else first + slope * hour, 0 if hour == 7 else 3_000)
        for hour in range(24)
    )


def _rollout() -> RolloutPanel:
    def proof(test: str, outlook: Outlook, e_value: float, needed: str = "", hours: float | None = None) -> Proof:
        expected = None if hours is None else AT + timedelta(hours=hours)
        progress = {Outlook.PROVEN: 1.0, Outlook.COMING: 0.7, Outlook.WATCHED: 0.2}.get(outlook, 0.1)
        return Proof(
            test, f"the claim of {test}", e_value, 20.0, progress, 0.12, outlook, needed, hours, expected, (("n", 120),)
        )

    return RolloutPanel(
        id=9,
        model="ranker",
        challenger="3.1.0-rc",
        champion="3.0.2",
        phase="canary",
        step=2,
        steps=(0.01, 0.05, 0.25, 0.5),
        weight=0.05,
        paused=False,
        started_at=AT - timedelta(days=2),
        step_at=AT - timedelta(hours=3),
        soak_until=AT + timedelta(hours=3),
        deadline=AT + timedelta(days=5, hours=2),
        outcome="hold",
        reason="soak until 2026-11-30 15:34",
        waits_for_approval=True,
        decision=217,
        decided_at=AT - timedelta(minutes=1),
        compared=(
            Compared("accuracy", "share", 0.953, 0.947, 0.006, -0.002, 0.014, 1_204, 8_120, "more"),
            Compared("P99", "ms", 131.0, 124.0, 7.0, None, None, 4_100, 80_000, "less"),
            Compared("errors", "share", 0.0, 0.0002, -0.0002, -0.0005, 0.0004, 4_100, 80_000, "less"),
            Compared("slow answers", "share", None, 0.01, None, None, None, 0, 80_000, "less"),
        ),
        proofs=(
            proof("error.not_worse", Outlook.COMING, 8.1, "about 1,900 more requests", 2.1),
            proof("slow.not_worse", Outlook.PROVEN, 41.0),
            proof("paired.not_worse", Outlook.TOO_LATE, 1.3, "about 23,000 more paired labels", 400.0),
            proof("paired.superior", Outlook.NEVER, 0.2, "more of these prove nothing"),
            proof("rare.not_worse", Outlook.INCONCLUSIVE, 1.0, "no label of the class 'late' yet"),
            proof("rollback.worse", Outlook.WATCHED, 1.9),
        ),
        labels="1,204 pairs of 1,210 labelled rows, 310 of these at this step; 96% of the labels are known",
        without_label=(("canary", 12), ("champion", 240), ("pairs", 55)),
        kept_policy="margin was published as 0.02 since it began, which holds for the next rollout",
        commands=("mlops rollouts status ranker", "mlops models approve ranker 3.1.0 --reason '...'"),
        dagster=f"{DAGSTER}/assets/ranker/deployment",
        grafana=f"{GRAFANA}-rollout?from=now-24h&to=now",
    )


def _drift() -> DriftPanel:
    def feature(name: str, psi: float | None, verdict: Verdict, reason: str = "") -> FeatureRow:
        series = () if psi is None else _series(psi / 2, psi / 48)
        since = AT - timedelta(hours=5) if verdict in (Verdict.MONITOR, Verdict.RETRAIN) else None
        return FeatureRow(name, psi, None if psi is None else 0.04, 0.1, 0.25, verdict, since, False, reason, series)

    return DriftPanel(
        model="classifier",
        champion="2.4.1",
        start=AT.replace(hour=11, minute=0, second=0),
        until=AT.replace(minute=0, second=0),
        window_hours=24.0,
        stale=True,
        verdict=Verdict.RETRAIN,
        reason="carrier has a PSI of 0.310, over 0.25",
        rows=81_210,
        retraining="Drift alone asks for a retraining.",
        features=(
            feature(f"carrier {HOSTILE}", 0.31, Verdict.RETRAIN),
            feature("distance", 0.12, Verdict.MONITOR),
            feature("tail", None, Verdict.INCONCLUSIVE, "12 rows, 200 are needed"),
            feature("hour", 0.02, Verdict.STABLE),
            replace(feature("(score)", 0.08, Verdict.STABLE), retrain=None),
        ),
        hidden_features=8,
        command="mlops reports show classifier drift_report",
        dagster=f"{DAGSTER}/assets/classifier/drift_report",
        grafana=f"{GRAFANA}-drift?from=now-24h&to=now",
    )


def _policies() -> PolicyPanel:
    ok = RuleRow(
        rule="accuracy",
        part="",
        on=True,
        warning=93.0,
        critical=91.0,
        unit="%",
        low_is_bad=True,
        now=94.7,
        low=94.1,
        high=95.2,
        samples=8_120,
        min_samples=200,
        counted="labels",
        condition=Condition.OK,
        state="ok",
        progress=0.04,
        way="proof, 1 false alarm a year",
        since=None,
        judged_at=AT - timedelta(minutes=2),
    )
    over = replace(
        ok, rule="p99_ms", unit="ms", warning=200.0, critical=500.0, low_is_bad=False, now=231.0, low=None, high=None
    )
    since = AT - timedelta(minutes=3)
    return PolicyPanel(
        "classifier",
        "2.4.1",
        "published by the code location acme",
        (
            ok,
            replace(
                over,
                condition=Condition.PENDING,
                state="pending 3 of 5 min",
                progress=0.6,
                way="over it for 5 min",
                since=since,
            ),
            replace(
                over, rule="error_rate", unit="%", condition=Condition.FIRING, state="firing, critical", progress=1.0
            ),
            replace(
                ok,
                rule="null_rate",
                part="carrier",
                low_is_bad=False,
                condition=Condition.RECOVERING,
                state="recovering",
            ),
            replace(
                ok,
                rule="label_debt",
                unit="times",
                now=None,
                low=None,
                high=None,
                samples=41,
                condition=Condition.CANNOT_TELL,
                state="cannot tell: 41 of 200 labels",
                progress=None,
            ),
            replace(
                ok, rule="no_traffic", condition=None, state="not judged yet", now=None, progress=None, judged_at=None
            ),
            replace(ok, rule="ks", on=False, condition=None, state="off", now=None, progress=None, judged_at=None),
        ),
    )
