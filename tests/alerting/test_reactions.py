"""What the platform has done is said by each alert that it answers: in the alert, its history, and every channel."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

import pytest

from mlops_dagster.alerting import Ending, EventKind, News, Notice, Rule, Severity, Sighting, Step
from mlops_dagster.alerting.life.reactions import SOURCES
from tests.support.channels.world import World, copied, world_on

QUALITY = ("accuracy", "accuracy_collapse", "concept_drift", "headline", "ks", "label_drift", "psi")
SERVING = ("error_rate", "null_rate", "p99_ms")
RUN = "886cb5fa-0000"
BAD = Severity.CRITICAL


def news(notice: Notice, said: str) -> News:
    return News("churn", notice, said, "2.0.0", evidence={"run": RUN} if notice == "retraining_started" else {})


def broken(rule: Rule, said: str, *, done: str = "", version: str = "2.0.0") -> Sighting:
    return Sighting("churn", rule, "", BAD, said, version=version, done=done)


Case: TypeAlias = tuple[list[Step], tuple[str, ...], str]
ACTIONS: dict[str, Case] = {
    "retraining started": ([news(Notice.RETRAINING_STARTED, "a retraining has started (drift)")], QUALITY, "started"),
    "retraining failed": ([broken(Rule.RETRAINING_FAILED, "candidate: MemoryError")], QUALITY, "failed: candidate: M"),
    "known bytes": ([broken(Rule.KNOWN_BAD, "its bytes were rolled back")], QUALITY, "2.0.0 gets no rollout: its"),
    "gate refuses": ([news(Notice.GIVEN_UP, "2.0.0 is taken out: promotion refused: 0.8")], QUALITY, "refused: 0.8"),
    "approval": ([news(Notice.WAITS_FOR_APPROVAL, "2.0.0 waits for approval")], QUALITY, "waits"),
    "promotion": ([news(Notice.PROMOTED, "2.0.0 is champion")], QUALITY, "2.0.0 is champion"),
    "rollback of the challenger": ([broken(Rule.ROLLED_BACK, "proof", done="taken out")], QUALITY, "proof; taken out"),
    "hold": ([broken(Rule.HELD, "nulls", done="held by ada")], ("null_rate",), "held by ada: nulls"),
    "release": (
        [broken(Rule.HELD, "nulls"), Ending("churn", Rule.HELD, "released by ada")],
        ("null_rate",),
        "released by ada",
    ),
}
"""The steps of each thing that the platform does, the rules that it answers, and words of what their alerts say."""


@pytest.fixture
def world(empty: Path) -> Iterator[World]:
    everything = ["tickets", "bus"]
    with copied(empty) as database, world_on(database, routes=[{"critical": everything, "warning": everything}]) as it:
        yield it


def open_all(world: World) -> None:
    for rule in (*QUALITY, *SERVING):
        world.alerts.report("churn", Rule(rule), Severity.WARNING, "it is bad", version="1.0.0")
    world.alerts.report("other", Rule.PSI, Severity.WARNING, "it is bad", version="1.0.0")


def take(world: World, steps: list[Step]) -> None:
    for step in steps:
        position = world.alerts.followed("test") + 1
        world.alerts.follow("test", position, [step], at=world.clock.now(), actor="platform")


@pytest.mark.parametrize(("steps", "answered", "said"), ACTIONS.values(), ids=ACTIONS)
def test_each_alert_says_what_was_done_about_it(
    world: World, steps: list[Step], answered: tuple[str, ...], said: str
) -> None:
    open_all(world)
    world.deliver()
    take(world, steps)
    world.later(minutes=5)
    for rule in QUALITY:  # a later sighting, with an intention, does not replace the fact
        world.alerts.report("churn", Rule(rule), Severity.WARNING, "it is bad", version="1.0.0", done="to come")
    world.deliver()
    about = {alert.rule: alert for alert in world.alerts.list("churn") if alert.rule in (*QUALITY, *SERVING)}
    assert {rule for rule, alert in about.items() if said in alert.done} == set(answered)
    assert not any(alert.done for alert in world.alerts.list("other"))
    last = {message["rule"]: message for message in world.bus.taken.values() if message["action"] == "update"}
    assert {rule for rule, message in last.items() if said in message["done"]} == set(answered)
    texts = [each["body"] for issue in world.github.issues for each in issue.comments]
    assert sum(said in text for text in texts) == len(answered)
    assert not world.refused


def test_every_source_of_a_reaction_is_tried() -> None:
    tried = {step.notice if isinstance(step, News) else step.rule for steps, _, _ in ACTIONS.values() for step in steps}
    assert tried == set(SOURCES)


def test_the_rollback_of_a_version_is_told_where_it_ends_the_alert(world: World) -> None:
    open_all(world)
    world.deliver()
    take(world, [Sighting("churn", Rule.ROLLED_BACK, "1.0.0", BAD, "it is proven bad", "1.0.0", done="0.9.0 answers")])
    world.deliver()
    ended = {one.rule: one for one in world.alerts.list("churn", resolved=True) if not one.open}
    assert set(ended) == {"accuracy", "error_rate", "headline", "p99_ms"}
    assert {alert.done for alert in ended.values()} == {"it is proven bad; 0.9.0 answers"}
    told = {each["rule"]: each["done"] for each in world.bus.taken.values() if each["action"] == "resolve"}
    assert told == dict.fromkeys(ended, "it is proven bad; 0.9.0 answers")


def started(world: World) -> None:
    take(world, ACTIONS["retraining started"][0])


def given_up(world: World) -> None:
    started(world)
    take(world, ACTIONS["gate refuses"][0])


def long_ago(world: World) -> None:
    started(world)
    world.later(days=8)


@pytest.mark.parametrize(
    ("before", "done"), [(started, "a retraining has started (drift)"), (given_up, ""), (long_ago, "")]
)
def test_an_alert_that_opens_later_says_what_still_goes_on(
    world: World, before: Callable[[World], None], done: str
) -> None:
    before(world)
    alert = world.alerts.report("churn", Rule.PSI, Severity.WARNING, "it is bad", version="1.0.0")
    world.deliver()
    assert alert.done == done
    (message,) = [each for each in world.bus.taken.values() if each["action"] == "open"]
    links = {link["text"]: link["url"] for link in message["links"]}
    assert links.get("Retraining") == (f"https://dagster.test/runs/{RUN}" if done else None)
    assert [one.kind for one in world.alerts.events(alert_id=alert.id)] == [EventKind.OPENED]
