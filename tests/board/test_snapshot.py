"""The snapshot of a small home: its numbers, the past, and what is left when stores fail."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from pydantic_core import to_json
from typer.testing import CliRunner

from mlops_dagster.alerting import Rule, Severity
from mlops_dagster.board.snapshot import explain, snapshot
from mlops_dagster.board.snapshot.entities import Figures, Section, Snapshot, Watching
from mlops_dagster.board.snapshot.sections.proofs import proofs
from mlops_dagster.cli import app
from mlops_dagster.errors import InvalidPolicyError, ModelNotFoundError, RolloutNotFoundError, StorageError
from mlops_dagster.loop.registry_events.follow import follow_registry
from mlops_dagster.loop.retraining.train import Cause, tell_retraining
from mlops_dagster.predictions import EventCounts
from mlops_dagster.rollout import Decision, Evidence, Outcome
from mlops_dagster.settings import Settings
from mlops_dagster.stores import Stores
from tests.support.rollout_world import MODEL, START, World

HOUR = timedelta(hours=1)


@dataclass
class Made:
    """A home, and the snapshots that were taken while it was made."""

    world: World
    stores: Stores
    taken: dict[str, Snapshot]

    def take(self, name: str) -> None:
        follow_registry(self.stores)
        self.taken[name] = snapshot(self.stores, self.world.clock.now())
        self.world.later(0.25)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    """A model whose first challenger is promoted and whose second is rolled back, with an alert and a hold."""
    world = World(tmp_path_factory.mktemp("home"))
    its = Made(world, Stores(world.settings, world.clock, actor="test"), {})
    its.take("empty")
    world.champion()
    world.serve(ties=100)
    its.take("one champion")
    world.register("1.1.0")
    world.reach(2)
    world.serve_equal()
    its.take("canary")
    its.stores.alerts.report(MODEL, Rule.P99_MS, Severity.WARNING, "slow", version="1.0.0", since=START)
    world.serve_better()
    assert world.tick() is Outcome.PROMOTE
    its.take("promoted")
    its.stores.alerts.resolve(MODEL, Rule.P99_MS, "fast again")
    its.stores.registry.hold(MODEL, "a bad hour")
    its.take("held")
    its.stores.registry.release(MODEL, "a good hour")
    world.serve_better()
    world.later(2)
    while not world.rollout.phase.ended:
        world.tick()
    world.register("1.2.0")
    world.reach(1)
    world.serve_worse()
    assert world.tick() is Outcome.ROLLBACK
    its.stores.registry.acknowledge(MODEL, "worker", 1)
    its.stores.registry.acknowledge(MODEL, "worker", world.deployment.epoch)
    its.take("rolled back")
    yield its
    world.close()


def sections_of(taken: Snapshot) -> dict[str, Section[object]]:
    """Return every section by its name."""
    found = {each.name: getattr(taken, each.name) for each in fields(taken)}
    found |= {f"figures.{each.name}": getattr(taken.figures, each.name) for each in fields(Figures)}
    return {name: value for name, value in found.items() if isinstance(value, Section)}


def differences(one: object, other: object, at: str = "") -> list[str]:
    """Return where two values differ, each as its place and both values."""
    if is_dataclass(one) and type(one) is type(other):
        pairs = [(each.name, getattr(one, each.name), getattr(other, each.name)) for each in fields(one)]
    elif isinstance(one, tuple) and isinstance(other, tuple) and len(one) == len(other):
        pairs = [(str(number), *both) for number, both in enumerate(zip(one, other, strict=True))]
    else:
        return [] if one == other else [f"{at}: {one} and {other}"]
    return [found for name, *both in pairs for found in differences(*both, f"{at}.{name}")]


def test_a_new_home_says_in_every_section_what_to_do(made: Made) -> None:
    sections = sections_of(made.taken["empty"])
    assert not [name for name, section in sections.items() if section.unavailable]
    assert [name for name, section in sections.items() if section.empty is None] == ["watching"]
    assert made.taken["empty"].watching.content.level == "silent"
    assert made.taken["empty"].page.models == 0


def test_the_figures_count_what_was_served(made: Made) -> None:
    figures = made.taken["promoted"].figures
    # 100 with a champion alone, 100 in shadow, 100 at each of two steps, 400 that the challenger answered better
    assert (figures.uptime.content.requests, figures.uptime.content.bad, figures.uptime.content.share) == (800, 0, 1.0)
    assert figures.accuracy.content.labels == 800
    assert (figures.models.content.active, figures.models.content.with_warning) == (1, 1)
    assert (figures.versions.content.tracked, figures.versions.content.deprecated) == (2, 0)
    kpis = {row.version: row for row in made.taken["promoted"].kpis.content}
    assert sum(row.requests for row in kpis.values()) == 800
    for row in kpis.values():
        assert sum(point.value or 0 for point in row.request_series) == row.requests


def test_the_past_is_shown_as_it_was(made: Made) -> None:
    for name, then in made.taken.items():
        now = snapshot(made.stores, then.at)
        assert now.past
        # Of watches, workers, beats and channels only the last state is kept, and the page says so.
        models = [replace(row, workers=()) for row in then.models.content]
        assert [replace(row, workers=()) for row in now.models.content] == models, name
        assert now.watching.content == Watching("unknown", None, None, None, ()), name
        assert now.alerts.content == replace(then.alerts.content, rules=None, told_nobody=False), name
        assert {row.state for panel in now.policies.content for row in panel.rules if row.on} <= {
            "not kept for the past"
        }
        for section in ("feed", "versions", "kpis", "rollouts", "drift"):
            assert differences(getattr(now, section), getattr(then, section)) == [], (name, section)
        assert differences(now.figures, then.figures) == [], name


def test_figures_and_drawings_lead_to_grafana_where_it_has_an_address(made: Made) -> None:
    without = made.taken["canary"]
    assert without.figures.grafana is None
    its = Stores(made.world.settings.model_copy(update={"grafana_url": "https://g.example.com/x"}), made.world.clock)
    then = snapshot(its, without.at)
    until = round(1000 * without.at.timestamp())
    time = f"from={until - 24 * 3_600_000}&to={until}"
    assert then.figures.grafana == f"https://g.example.com/x/d/mlops-fleet?{time}"
    assert [row.grafana for row in then.kpis.content] == [
        f"https://g.example.com/x/d/mlops-model?var-model={MODEL}&var-version={row.version}&{time}"
        for row in then.kpis.content
    ]
    (panel,) = then.rollouts.content
    assert panel.grafana.startswith(f"https://g.example.com/x/d/mlops-rollout?var-model={MODEL}&from=")
    now = snapshot(its, made.world.clock.now())
    assert now.figures.grafana == "https://g.example.com/x/d/mlops-fleet?from=now-24h&to=now"


def test_a_rollout_shows_its_evidence_and_what_is_still_needed(made: Made) -> None:
    (panel,) = made.taken["canary"].rollouts.content
    assert (panel.phase, panel.step, panel.weight, panel.outcome) == ("canary", 2, 0.5, "hold")
    proofs = {proof.test: proof for proof in panel.proofs}
    errors = proofs["error.not_worse"]
    assert 0 < errors.progress < 1
    assert errors.outlook == "coming"
    begun = (panel.started_at, made.taken["canary"].at)
    an_hour = 300 / ((begun[1] - begun[0]) / HOUR)  # 300 requests since the rollout began, all scored by both
    needed = int(errors.needed.removeprefix("about ").split()[0])
    assert errors.hours == pytest.approx(needed / an_hour)
    assert errors.expected_at == begun[1] + errors.hours * HOUR
    assert proofs["rollback.worse"].outlook == "watched"
    # Both gave the same answers: only wins and losses tell which one is better.
    assert proofs["paired.superior"].outlook == "never"


def test_a_rollback_shows_how_long_it_took(made: Made) -> None:
    entry = next(each for each in made.taken["rolled back"].feed.content.entries if each.kind == "rollback")
    assert entry.version == "1.2.0"
    assert entry.alert is not None
    # Its first loss was in shadow, an hour and a half before the canary that proved it.
    assert entry.seconds_to_proof == 3 * 3600
    assert entry.seconds_to_zero_traffic is not None
    assert 0 <= entry.seconds_to_zero_traffic < 60
    assert f"mlops rollouts explain {entry.decision}" in entry.commands
    assert [each.kind for each in made.taken["rolled back"].feed.content.entries].count("rollback") == 1


def test_a_hold_is_in_its_model_s_row(made: Made) -> None:
    (row,) = made.taken["held"].models.content
    assert (row.on_hold, row.on_hold_by, row.on_hold_since) == ("a bad hour", "test", made.taken["held"].at)
    assert made.taken["held"].figures.models.content.on_hold == 1
    assert {version.traffic for version in made.taken["held"].versions.content} == {0.0}


def test_the_worst_model_comes_first_and_pages_hold_ten(tmp_path: Path) -> None:
    stores = Stores(Settings(home=tmp_path))
    file = tmp_path / "model.txt"
    file.write_text("bytes")
    names = [f"model-{number:02}" for number in range(23)]
    for name in names:
        stores.registry.register(name, file, "1.0.0")
    stores.registry.hold("model-11", "no reason")
    stores.alerts.report("model-20", Rule.PSI, Severity.CRITICAL, "drifted")
    stores.alerts.report("model-15", Rule.PSI, Severity.WARNING, "drifts")
    pages = [snapshot(stores, stores.clock.now(), page=page) for page in (1, 2, 3, 4)]
    assert [each.page.number for each in pages] == [1, 2, 3, 3]
    shown = [row.model for each in pages[:3] for row in each.models.content]
    assert shown == ["model-20", "model-11", "model-15", *(name for name in names if name not in shown[:3])]
    assert len(pages[0].versions.content) == 10
    alone = snapshot(stores, stores.clock.now(), model="model-07")
    assert [row.model for row in alone.versions.content] == ["model-07"]
    assert not alone.alerts.content.rows
    with pytest.raises(ModelNotFoundError):
        snapshot(stores, stores.clock.now(), model="model-99")


def test_an_alert_and_the_feed_lead_to_the_run_that_answers_them(tmp_path: Path) -> None:
    stores = Stores(Settings(home=tmp_path, dagster_url="https://dagster.test"))
    stores.alerts.report(MODEL, Rule.PSI, Severity.WARNING, "drifts")
    tell_retraining(stores, MODEL, Cause("drift", "drift of x", {}), run="886cb5fa-10ab")
    found, page = snapshot(stores, stores.clock.now()), "https://dagster.test/runs/886cb5fa-10ab"
    done = "a retraining has started (drift), run 886cb5fa: drift of x"
    assert found.alerts.content is not None
    assert found.feed.content is not None
    assert [(row.done, row.retraining) for row in found.alerts.content.rows] == [(done, page)]
    told = [(entry.kind, entry.title, entry.done, entry.dagster) for entry in found.feed.content.entries]
    assert ("acted", "drifts", done, page) in told


def test_a_store_that_fails_takes_only_its_sections(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_args: object, **_more: object) -> None:
        raise StorageError("the database of the rollups does not answer")

    monkeypatch.setattr("mlops_dagster.predictions.rollups.reading.RollupReader.rows", fails)
    found = sections_of(snapshot(made.stores, made.world.clock.now()))
    gone = {name: section.unavailable for name, section in found.items() if section.unavailable}
    assert set(gone.values()) == {"the database of the rollups does not answer"}
    assert set(gone) == {"kpis", "feed", "figures.uptime", "figures.latency", "figures.accuracy", "figures.requests"}
    assert all(found[name].content is None and found[name].as_of is None for name in gone)


def test_without_a_registry_no_section_raises(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_args: object, **_more: object) -> None:
        raise StorageError("the database does not answer")

    for method in ("deployments", "policies_of", "last_events", "latest_events"):
        monkeypatch.setattr(type(made.stores.registry), method, fails)
    found = snapshot(made.stores, made.world.clock.now())
    assert found.page.models == 0
    assert sections_of(found)["models"].unavailable == "the database does not answer"
    assert sections_of(found)["alerts"].unavailable == ""


def test_the_command_prints_the_snapshot_of_a_time(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLOPS_HOME", str(made.world.home))
    then = made.taken["canary"]
    ran = CliRunner().invoke(app, ["board", "--json", "--at", then.at.isoformat()])
    assert ran.exit_code == 0, ran.output
    printed = json.loads(ran.stdout)
    assert datetime.fromisoformat(printed["at"]) == then.at
    assert printed["past"] is True
    assert printed["figures"]["uptime"]["content"]["requests"] == then.figures.uptime.content.requests
    assert [row["version"] for row in printed["versions"]["content"]] == [row.version for row in then.versions.content]


def test_a_decision_opens_its_arithmetic_and_its_replay(made: Made) -> None:
    found = made.stores.rollouts.decisions(made.world.rollout.id)
    last = explain(made.stores, found[-1].id)
    assert (last.outcome, last.differences, last.looks, last.next) == ("rollback", (), (), None)
    assert last.previous == found[-2].id
    rollback = next(proof for proof in last.proofs if proof.test == "rollback.worse")
    assert (rollback.outlook, rollback.progress) == ("proven", 1.0)
    assert rollback.e_value == found[-1].test("rollback.worse").e_value
    served = found[-1].evidence
    assert sum(arm.requests for arm in last.arms if arm.share is not None) == sum(
        step.canary.requests + step.champion.requests for step in served.steps
    )


def test_a_decision_is_replayed_under_another_policy(made: Made) -> None:
    found = made.stores.rollouts.decisions(made.world.rollout.id)
    patient = explain(made.stores, found[-1].id, {"alpha": "0.000000000000001"})
    assert [look.decision for look in patient.looks] == [each.id for each in found]
    assert patient.parts_at == found[-1].id
    assert patient.looks[-1].would_decide == "hold"
    assert {field.name for field in patient.policy if field.value != field.other} == {"alpha"}
    assert patient.caveats
    with pytest.raises(InvalidPolicyError, match="alpha"):
        explain(made.stores, found[-1].id, {"alpha": "2"})
    with pytest.raises(RolloutNotFoundError):
        explain(made.stores, 10_000)


def test_the_outlook_of_a_test(made: Made) -> None:
    first = made.stores.rollouts.list(MODEL)[0]
    last = next(each for each in made.stores.rollouts.decisions(first.id) if each.rollout.step == 2)

    def outlook(decision: Decision) -> tuple[str, float | None]:
        found = next(proof for proof in proofs(decision) if proof.test == "slow.not_worse")
        return found.outlook.value, found.hours

    state, hours = outlook(last)
    assert (state, hours is None) in (("proven", True), ("coming", False))
    early = replace(last, peaks={}, rollout=replace(last.rollout, peaks={}), evidence=evidence_of(last, 0.2))
    state, hours = outlook(early)
    assert state == "coming"
    assert hours is not None
    late = replace(early, at=first.deadline(early.at) - timedelta(hours=hours / 2))
    assert outlook(late) == ("too_late", hours)
    nothing = replace(early, evidence=Evidence(through=early.at))
    assert outlook(nothing) == ("unknown", None)


def evidence_of(decision: Decision, share: float) -> Evidence:
    """Return the evidence of a decision with a share of its counts of requests."""

    def part(counts: EventCounts) -> EventCounts:
        return EventCounts(*(int(share * getattr(counts, each.name)) for each in fields(counts)))

    since = tuple(
        replace(
            each,
            challenger=part(each.challenger),
            steps=tuple(replace(step, canary=part(step.canary), champion=part(step.champion)) for step in each.steps),
        )
        for each in decision.evidence.since
    )
    return replace(decision.evidence, since=since)


def test_both_databases_give_the_same_content(tmp_path: Path, postgresql: str) -> None:
    documents = []
    for name, database in (("sqlite", None), ("postgresql", postgresql)):
        (tmp_path / name).mkdir()
        world = World(tmp_path / name, database=database)
        stores = Stores(world.settings, world.clock, actor="test")
        world.champion()
        world.serve(ties=100)
        world.register("1.1.0")
        world.reach(1)
        world.serve(ties=20, wins=3)
        stores.alerts.report(MODEL, Rule.P99_MS, Severity.WARNING, "slow", version="1.0.0", since=START)
        follow_registry(stores)
        then = world.clock.now()
        world.later(1)
        world.serve_better()
        world.tick()
        stores.alerts.resolve(MODEL, Rule.P99_MS, "fast again")
        follow_registry(stores)
        stores.rollups.catch_up(world.spool, lambda *_: None)
        taken = [snapshot(stores, at, model=model) for at in (then, world.clock.now()) for model in (None, MODEL)]
        assert not [each for its in taken for each in sections_of(its).values() if each.unavailable]
        assert taken[-1].figures.uptime.content.requests > 100
        documents.append([to_json(its, indent=1).decode().splitlines() for its in taken])
        world.close()
    assert documents[0] == documents[1]
