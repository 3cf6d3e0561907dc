"""Broken manifests, cards, policies, suites, URLs, settings, command lines: each is taken, or refused by us."""

import itertools
import random
import tempfile
import time
from collections import Counter
from pathlib import Path

from hypothesis import HealthCheck, given, seed, settings

from tests.support.foreign.targets import TARGETS, Target

EXAMPLES = 50
"""Of one target before the next has its turn."""


def attack(seconds: float) -> None:
    deadline = time.monotonic() + seconds
    begun = random.randrange(10**6)  # noqa: S311 - not for secrets
    outcomes: dict[str, Counter[str]] = {name: Counter() for name in TARGETS}
    for number, name in zip(itertools.count(begun), itertools.cycle(TARGETS)):
        _hand_in(TARGETS[name], number, outcomes[name])
        if time.monotonic() > deadline:
            break
    for name, found in outcomes.items():
        told = ", ".join(f"{count:,} {outcome}" for outcome, count in found.most_common())
        print(f"{found.total():,} {name}: {told or 'not reached'}")


def _hand_in(target: Target, number: int, found: Counter[str]) -> None:
    @seed(number)
    @settings(max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(value=target.handed_in)
    def hand_in(value: object) -> None:
        with tempfile.TemporaryDirectory() as folder:
            found[target.outcome(value, Path(folder))] += 1

    hand_in()
