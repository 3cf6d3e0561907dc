"""Ten days of one model, from 2 March, and a play of them without Dagster.

Rows are served from 8:00 to 9:00 each day. Those of the third day are broken; the labels of the fourth come three
days late; from the fifth day on the world is another one, in which the former champion answers better, and from the
sixth one carrier has all rows.
"""

import json
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd

from mlops_dagster.clock import ReplayedClock
from mlops_dagster.loop.apply_floor import apply_floor
from mlops_dagster.loop.judging.days_of_answers import changed_days
from mlops_dagster.loop.judging.judge_days import judge_days
from mlops_dagster.loop.judging.judge_hours import judge_drift, validate_hours
from mlops_dagster.loop.judging.judge_week import judge_weeks
from mlops_dagster.loop.retraining.consider import NO_RUNS, consider_retraining
from mlops_dagster.loop.spec import CardSpec, ModelSpec, TrainingSpec
from mlops_dagster.monitoring import PerformancePolicy, ValidationPolicy, make_baseline
from mlops_dagster.reports import DAY, HOUR, WEEK
from mlops_dagster.retraining.policy import RetrainingPolicy
from mlops_dagster.rollout import RolloutPolicy
from mlops_dagster.settings import Settings
from mlops_dagster.stores import Stores
from tests.support.two_versions import MODEL, SCHEMA, days, estimator, house_at, register, serve

SPEC = ModelSpec(
    model=MODEL,
    trainer="nobody.asks",
    training=TrainingSpec(dataset="made up"),
    card=CardSpec(intended_use="tests", failure_modes=("none",), contacts=("me",), fairness_attribute="carrier"),
    rollout=RolloutPolicy(rows_per_observation=1),
    performance=PerformancePolicy(window_days=2),
    validation=ValidationPolicy(hold=True),
    retraining=RetrainingPolicy(cadence=None),
)
DAYS = 10
FIRST = days(1) + timedelta(hours=8)
PER_HOUR = 300
LATE_DAY, LABELS_COME = 4, days(7) + timedelta(hours=9, minutes=30)
DECISIONS = (9, 12)
"""The hours at whose fifth minute the loop decides: after the hour with rows, and at noon."""


def make_world(home: Path) -> None:
    """Publish the policies, register two champions, and serve the ten days; the late labels are not there yet."""
    house_at(home, days(0.2)).registry.publish_policies(MODEL, SPEC.policies())
    generator = np.random.default_rng(0)
    frame = pd.DataFrame({"x": generator.uniform(-2, 2, 2000), "carrier": np.resize(["AA", "UA"], 2000)})
    labels = np.where(frame["x"] > 0, "late", "ok").astype(object)
    baseline = make_baseline(frame, SCHEMA, scores=np.full(2000, 0.5), labels=labels)
    former = estimator(1.5)
    register(home, "0.9.0", former, trained_until=days(0.2), at=days(0.3), champion=True)
    register(
        home,
        "1.0.0",
        estimator(0),
        trained_until=days(0.5),
        at=days(0.9),
        baseline=baseline,
        rows=1000,
        champion=True,
    )
    bins = {name: its.bins for name, its in {**baseline.features, "score": baseline.score}.items()}
    for day in range(1, DAYS + 1):
        serve(
            home,
            days(day) + timedelta(hours=8),
            PER_HOUR,
            hours=1,
            truth=1.5 if day > LATE_DAY else 0.0,
            labelled=day != LATE_DAY,
            carriers=("UA", "UA") if day >= 6 else ("AA", "UA"),
            moved=50.0 if day == 3 else 0.0,
            bins=bins,
        )


def deliver_late_labels(home: Path) -> None:
    """Label all answers of the late day, as the world was then."""
    stores = Stores(Settings(home=home), ReplayedClock(LABELS_COME), actor="test")
    start = days(LATE_DAY)
    rows = stores.log.read(MODEL, start, start + DAY).to_pylist()
    labels = [(row["prediction_id"], row["prediction"], LABELS_COME) for row in rows]
    stores.spool.feedback(labels, model=MODEL)
    stores.rollups.catch_up(stores.spool, lambda _model, _version: None)
    stores.log.ship(stores.spool)


def decision_times() -> Iterator[datetime]:
    """Yield the times at which the loop decides, and Monday's hour of the labels of a week."""
    for day in range(1, DAYS + 2):
        for hour in DECISIONS:
            yield days(day) + timedelta(hours=hour, minutes=5)
        if days(day).weekday() == 0:
            yield days(day) + timedelta(hours=13, minutes=5)


def outcome(stores: Stores) -> dict[str, object]:
    """Return all that the loop has left: reports, alerts, and the events of the registry."""
    reports = [
        {
            "kind": each.kind,
            "start": each.start.isoformat(),
            "revision": each.revision,
            "champion": each.champion,
            "verdict": each.verdict,
            "reason": each.reason,
            "content": each.content,
        }
        for each in stores.reports.list(MODEL, last=10_000)
    ]
    alerts = [
        [each.rule, each.severity.value, each.open, each.summary, each.done, dict(each.evidence)]
        for each in stores.alerts.list(MODEL, resolved=True)
    ]
    events = [[each.kind, each.reason, each.at.isoformat()] for each in stores.registry.history(MODEL)]
    by_kind = sorted(reports, key=lambda each: (str(each["kind"]), str(each["start"])))
    left = json.dumps({"reports": by_kind, "alerts": alerts, "events": events})
    found: dict[str, object] = json.loads(left.replace(str(stores.settings.home), "HOME"))
    return found


def play(home: Path) -> dict[str, object]:
    """Judge hour by hour, day by day and week by week, and note each decision; return everything."""
    clock = ReplayedClock(FIRST)
    stores = Stores(Settings(home=home), clock, actor="test")
    decisions, times, delivered = [], set(decision_times()), False
    hour = FIRST
    while hour + HOUR <= max(times):
        clock.advance_to(hour + HOUR + timedelta(minutes=5))
        now = clock.now()
        if now > LABELS_COME and not delivered:
            deliver_late_labels(home)
            delivered = True
        validate_hours(stores, SPEC, [hour])
        judge_drift(stores, SPEC, [hour])
        if now.hour == 12 and now - DAY >= FIRST:
            changed = changed_days(stores, SPEC, now)
            today = now.replace(hour=0, minute=0)
            for day in [today - DAY, *sorted(changed - {today - DAY})]:
                judge_days(stores, SPEC, [day])
        if now.hour == 13 and now.weekday() == 0 and now - WEEK >= FIRST:
            judge_weeks(stores, SPEC, [now.replace(hour=0, minute=0) - WEEK])
        if now in times:
            decisions.append(decide(stores, now))
        hour += HOUR
    return {"decisions": decisions, **outcome(stores)}


def decide(stores: Stores, now: datetime) -> list[object]:
    """Return the decisions on retraining and on the floor, by the latest reports."""
    retraining, floor = consider_retraining(stores, SPEC, NO_RUNS), apply_floor(stores, SPEC)
    return [
        now.isoformat(),
        retraining.trigger if retraining.retrain else None,
        retraining.reason,
        dict(retraining.numbers) if retraining.retrain else {},
        [floor.bad, floor.to],
        floor.reason,
    ]


def tell(home: Path) -> None:
    """Play, in a process for this alone, and print what `play` returns as JSON."""
    found = play(home)
    assert "dagster" not in sys.modules, "the loop imports Dagster"
    json.dump(found, sys.stdout)
