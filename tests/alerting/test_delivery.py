"""What is told reaches its channel, once and in order, whatever fails or is killed meanwhile."""

import random
import re
from collections import Counter
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlops_dagster.alerting import Rule, Severity
from tests.support.channels.stub import Asked, Killed, Reply
from tests.support.channels.world import Fresh, World, copied, world_on

FAULTS = ["", "", "", "cut_before", "cut_after", "cut_after", "busy", "limited", "kill_before", "kill_after"]
STEPS = ["warn", "criticize", "acknowledge", "resolve", "mute", "deliver", "deliver", "deliver", "wait", "lease"]


HISTORIES = st.lists(st.tuples(st.sampled_from(STEPS), st.sampled_from("ab")), min_size=12, max_size=25)


@settings(max_examples=8, derandomize=True)
@given(HISTORIES, st.integers(0))
def test_vendors_end_with_what_is_open_and_none_saw_anything_twice(
    empty: Path, steps: list[tuple[str, str]], seed: int
) -> None:
    with copied(empty) as database:
        tell(database, steps, seed)


@pytest.mark.parametrize("fresh", ["postgresql"], indirect=True)
@settings(max_examples=2, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(HISTORIES, st.integers(0))
def test_so_they_do_on_postgresql(fresh: Fresh, steps: list[tuple[str, str]], seed: int) -> None:
    with fresh() as database:
        tell(database, steps, seed)


def tell(database: str, steps: list[tuple[str, str]], seed: int) -> None:
    """Take the steps with faults at each request, and compare what the vendors have with what is open."""
    draw = random.Random(seed)  # noqa: S311
    replies = {"busy": Reply(503), "limited": Reply(429, headers={"retry-after": "30"})}
    told: dict[str, set[str]] = {key: set() for key in KEYS.values()}
    openings: Counter[str] = Counter()
    with world_on(database) as world:

        def fault(asked: Asked) -> str | Reply | None:
            found = draw.choice(FAULTS)
            return replies.get(found, found)

        world.network.fault = fault
        for step, subject in steps:
            openings += take(world, step, subject, told)
        world.settle()

        assert not world.refused
        assert not world.letters.list()
        assert set(world.pager.open) == {key for key in told if "oncall" in told[key]}
        assert world.bus.open == {key for key in told if told[key]}
        assert len(world.prom.open) == sum(map(bool, told.values()))
        marked = [
            mark.split()[2] for issue in world.github.issues if issue.state == "open" for mark in marks(issue.body)
        ]
        assert Counter(marked) == Counter(key for key in told if "tickets" in told[key])
        texts = [
            text for issue in world.github.issues for text in (issue.body, *(each["body"] for each in issue.comments))
        ]
        assert set(Counter(mark for text in texts for mark in marks(text)).values()) <= {1}
        assert Counter(world.pager.incidents) <= openings


CHANNEL = {"warn": "tickets", "criticize": "oncall"}
KEYS = {subject: f"mlops:test:churn:suite:{subject}" for subject in "ab"}


def marks(text: str) -> list[str]:
    return re.findall("<!-- .* -->", text)


def take(world: World, step: str, subject: str, told: dict[str, set[str]]) -> Counter[str]:
    """Take the step; note in `told` in which channels each alert is open then, and return the keys of what opened."""
    key, muted = KEYS[subject], world.alerts.silences()
    alert = next((each for each in world.alerts.list() if each.subject == subject), None)
    opened: list[str] = []
    if step in CHANNEL:
        severity = Severity.WARNING if step == "warn" else Severity.CRITICAL
        world.alerts.report("churn", Rule.SUITE, severity, "nulls 0.6 %", subject=subject)
        if not muted:
            told[key].add(CHANNEL[step])
        opened = [key] if alert is None else []
    if step == "acknowledge" and alert is not None:
        world.alerts.acknowledge(alert.id, "I look")
    if step == "resolve" and alert is not None:
        world.alerts.resolve("churn", Rule.SUITE, "it passed", subject=subject)
        told[key].clear()
    if step == "mute" and not muted:
        world.alerts.silence(world.clock.now() + timedelta(days=30), "moving")
        for channels in told.values():
            channels.clear()
    if step == "mute" and muted:
        world.alerts.end_silence(muted[0].id, "moved")
        for each in world.alerts.list():
            told[each.key].add("tickets" if each.severity is Severity.WARNING else "oncall")
        opened = [each.key for each in world.alerts.list()]
    if step == "deliver":
        for name in world.delivery.channels:
            with suppress(Killed):
                world.delivery.deliver(name)
    world.later(seconds={"wait": 7, "lease": 61}.get(step, 0))
    return Counter(opened)
