"""Retention in real stores: what can still be asked for is answered as before, and the rest says since when."""

import random
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Select, select

from mlops_dagster.alerting import FLEET, Rule, Severity
from mlops_dagster.board.snapshot.decision import explain
from mlops_dagster.board.snapshot.take import snapshot
from mlops_dagster.errors import NotKeptError
from mlops_dagster.loop.judging.findings import DRIFT, LABELS, HourOfDrift, WeekOfLabels
from mlops_dagster.loop.retention.apply import apply_retention
from mlops_dagster.predictions import recount
from mlops_dagster.predictions.rollups.tables import arms, days
from mlops_dagster.retention import LOOKBACK, RetentionPolicy, shown_since
from mlops_dagster.settings import Settings
from mlops_dagster.stores import Stores
from tests.support.rollout_world import MODEL, START, World

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
POLICY = RetentionPolicy(
    predictions_days=60,
    minute_counts_days=62,
    hour_counts_days=70,
    day_counts_days=3_650,
    hour_reports_days=62,
    reports_days=200,
    decisions_days=183,
    alerts_days=183,
    profiles_days=40,
    pages_days=31,
)
DAYS = 260


class History:
    """Months of one model: traffic, rollouts that end in every way, alerts, reports and files, at random."""

    def __init__(self, home: Path, seed: int) -> None:
        self.chance = random.Random(seed)  # noqa: S311  # a history, no secret
        self.world = world = World(home)
        world.champion()
        self.stores = Stores(Settings(home=home, label_days=2), world.clock, actor="test")
        self.stores.registry.publish_policies(MODEL, {"retention": POLICY})
        self.hours: list[datetime] = []
        versions = 0
        while world.clock.now() < START + DAYS * DAY:
            self.report()
            self.alert()
            left = (START + DAYS * DAY - world.clock.now()) / DAY
            lasting = 80 <= left < 90  # it is left alone until the end, longer than counts are kept
            if lasting or (not 25 < left < 80 and self.chance.random() < 0.35):
                versions += 1
                world.register(f"1.{versions}.0")
                self.roll_out(f"1.{versions}.0", 0 if lasting else self.chance.randrange(8))
            world.serve(wins=2, losses=2, ties=3, hours=self.chance.choice((50, 100, 200)))
        self.stores.log.ship(world.spool)

    def roll_out(self, version: str, looks: int) -> None:
        while (running := self.stores.rollouts.active(MODEL)) is None or running.challenger != version:
            self.look()
        for _ in range(looks):
            self.look()

    def look(self) -> None:
        self.world.serve(wins=1, losses=self.chance.choice((1, 1, 20)), ties=18)
        self.world.tick()

    def alert(self) -> None:
        alerts, rule = self.stores.alerts, self.chance.choice((Rule.PSI, Rule.ACCURACY, Rule.NO_TRAFFIC))
        model = self.chance.choice((MODEL, MODEL, FLEET))
        if self.chance.random() < 0.6:
            alerts.report(model, rule, Severity.WARNING, "it moved")
        else:
            alerts.resolve(model, rule, "it is over")

    def report(self) -> None:
        hour = self.world.clock.now().replace(minute=0, second=0, microsecond=0) - HOUR
        self.hours.append(hour)
        for each in (hour, self.chance.choice(self.hours[-8:])):  # an earlier one is made again
            self.stores.reports.save(DRIFT, MODEL, each, HourOfDrift(), verdict="stable", champion="1.0.0")
        self.stores.reports.save(LABELS, MODEL, hour - 7 * DAY, WeekOfLabels(), verdict="stable")
        for files in (self.stores.profiles, self.stores.report_pages, self.stores.quarantine):
            files.put(f"{MODEL}/{hour:%Y-%m-%dT%H}.parquet", b"drawn")

    def seen(self, times: list[datetime]) -> list[object]:
        found: list[object] = []
        since = self.world.clock.now() - 182 * DAY
        for at in times:
            room = snapshot(self.stores, at)
            assert room.feed.content is not None
            # The feed has the last 30 events, however old, and so have lists: they end where what is kept does.
            fed = [each for each in room.feed.content.entries if each.at >= since]
            found += [replace(room, feed=room.drift), fed, self.stores.alerts.as_of(at)]
            listed = self.stores.reports.list(MODEL, at=at, last=40)
            found += [[each for each in listed if each.start >= self.world.clock.now() - 61 * DAY]]
        return found


@pytest.fixture(params=[1])
def history(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[History]:
    found = History(tmp_path, request.param)
    yield found
    found.world.close()


def test_what_can_be_asked_for_is_as_before_and_the_rest_says_so(history: History, tmp_path: Path) -> None:
    stores, now = history.stores, history.world.clock.now()
    shown = now - timedelta(days=62) + LOOKBACK
    times = [shown + HOUR + (now - shown - DAY) * share for share in (0, 0.4, 1)]
    before = history.seen(times)
    kept = [each for each in stores.rollouts.list(MODEL) if each.ended_at is None or each.ended_at > now - 183 * DAY]
    decisions = [each.id for rollout in kept for each in stores.rollouts.decisions(rollout.id)]
    replayed = [explain(stores, each) for each in decisions]
    assert any(
        each.started_at < shown - LOOKBACK and (each.ended_at is None or each.ended_at > shown)
        for each in stores.rollouts.list(MODEL)
    ), "one lasts from before counts are kept until it can be shown"
    old = [each for each in stores.rollouts.list(MODEL) if each not in kept and stores.rollouts.decisions(each.id)]
    day_counts = stores.rollups.rows(days_of_table())
    labelled = stores.log.count_labelled(MODEL)

    would = apply_retention(stores, dry_run=True)
    assert stores.retention.since() == {}
    found = apply_retention(stores)
    assert (found.removed, found.failed) == (would.removed, {})
    gone = {kind: number for kind, (_, number) in found.totals.items()}
    for kind in ("predictions", "labels", "minute_counts", "hour_counts", "hour_reports", "reports", "alerts", "pages"):
        assert gone[kind] > 0, kind
    assert {each.kind: each.removed for each in stores.retention.passes()} == gone

    for one, other in zip(history.seen(times), before, strict=True):
        assert one == other
    assert [explain(stores, each) for each in decisions] == replayed
    assert old, "some rollout ended long ago"
    for rollout in old:
        assert stores.rollouts.decisions(rollout.id) == []
        assert stores.rollouts.get(rollout.id) == rollout, "its challenger is not tried again"
    assert stores.rollups.rows(days_of_table()) == day_counts
    first = stores.log.read(MODEL, START, now, ["event_time"])["event_time"].to_pylist()[0]
    assert now - timedelta(days=61 + 12) <= first  # a rollout that runs is compared from its start on
    assert stores.log.count_labelled(MODEL) < labelled

    whole = shown_since(stores.retention.since()[MODEL])
    assert whole is not None
    assert abs(whole - shown) <= DAY
    with pytest.raises(NotKeptError, match=f"{whole:%Y-%m-%d}"):
        snapshot(stores, whole - HOUR)
    assert apply_retention(stores).totals == {}, "once is enough"

    # Counts of days that have left the log stay if all that can be counted again is.
    lost = {"bins_of": lambda *_: None, "slow_ms_of": lambda _: 200.0, "shared_log": False, "only_if_lost": False}
    assert recount(stores.rollups, stores.spool, stores.log, **lost) is not None
    assert stores.rollups.rows(days_of_table()) == day_counts


def days_of_table() -> Select[Any]:
    names = ("requests", "rows", "labelled", "wrong")
    return (
        select(arms.c.version, arms.c.role, arms.c.weight, days.c.day, *(days.c[name] for name in names))
        .join_from(arms, days, arms.c.id == days.c.arm)
        .order_by(arms.c.version, arms.c.role, arms.c.weight, days.c.day)
    )
