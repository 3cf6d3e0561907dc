"""The evidence of each test of a rollout: how far from proof, and when it comes at the present rates."""

import math
from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Final

from mlops_dagster.board.snapshot.entities import Outlook, Proof
from mlops_dagster.rollout import Decision, TestResult
from mlops_dagster.rollout.evaluation import Tests, evaluate
from mlops_dagster.rollout.evidence import total

_HOUR: Final = timedelta(hours=1)
_MINUTE: Final = timedelta(minutes=1)
_A_DAY: Final = 24 * 60  # minutes
_LARGEST: Final = 1e300
"""Neither JSON nor a page can show infinity."""


def proofs(decision: Decision) -> tuple[Proof, ...]:
    """Return the tests of a decision with what they still need, those that are waited for first."""
    rollout = decision.rollout
    tests = evaluate(rollout.policy, rollout, decision.evidence, forecast=True)
    waited = _waited_for(tests)
    others = [test for test in tests.all if test.name not in {each.name for each in waited}]
    return tuple(_proof(test, decision, waited=test in waited) for test in (*waited, *others))


def _waited_for(tests: Tests) -> Collection[TestResult]:
    return (*tests.not_worse, tests.superior)


def _proof(test: TestResult, decision: Decision, *, waited: bool) -> Proof:
    hours, at = _hours(test, decision), decision.at
    left = decision.rollout.deadline(at) - at
    return Proof(
        test=test.name,
        claim=test.claim,
        e_value=min(test.e_value, _LARGEST),
        limit=test.limit,
        progress=progress(test),
        p=test.p,
        outlook=_outlook(test, hours, left, waited=waited),
        needed=test.needed or "",
        hours=hours,
        expected_at=None if hours is None or hours > _A_DAY * 365 else at + hours * _HOUR,
        counts=tuple((name, min(value, _LARGEST)) for name, value in test.observed.items()),
    )


def progress(test: TestResult) -> float:
    """Return how far the test is on its way to proof, from 0 to 1, on the scale of the logarithm of its e-value."""
    if test.proven:
        return 1.0
    return 0.0 if test.e_value <= 1 else min(math.log(test.e_value) / math.log(test.limit), 1.0)


def _outlook(test: TestResult, hours: float | None, left: timedelta, *, waited: bool) -> Outlook:
    if test.proven:
        return Outlook.PROVEN
    if test.verdict == "inconclusive":
        return Outlook.INCONCLUSIVE
    if not waited:
        return Outlook.WATCHED
    if test.more == math.inf:
        return Outlook.NEVER
    if hours is None:
        return Outlook.UNKNOWN
    return Outlook.COMING if hours <= left / _HOUR else Outlook.TOO_LATE


def _hours(test: TestResult, decision: Decision) -> float | None:
    """Return the time until the evidence that is still needed has come; None if nothing is, or no rate is known."""
    if test.more is None or test.more == math.inf:
        return None
    of_labels = test.metric in ("paired", "wrong")
    rate = labels_an_hour(decision, test.metric) if of_labels else requests_an_hour(decision)
    return test.more / rate if rate else None


def requests_an_hour(decision: Decision) -> float:
    """Return how many requests the challenger scores an hour, over the last day or since the start."""
    evidence = decision.evidence
    now = _minutes(decision, evidence.through)
    lately = [each for each in evidence.since if now - each.minute >= _A_DAY]
    begun = max(lately, key=lambda each: each.minute, default=evidence.since[0])
    return 60 * begun.challenger.requests / max(now - begun.minute, 1)


def labels_an_hour(decision: Decision, metric: str) -> float:
    """Return how many labels of this kind come an hour: those of the last day whose labels are complete, or of all."""
    labels = decision.evidence.labels
    if labels.complete_until is None:
        return 0.0
    now = _minutes(decision, labels.complete_until)
    lately = [each for each in labels.since if now - each.minute >= _A_DAY]
    begun = max(lately, key=lambda each: each.minute, default=labels.since[0])
    count = total(begun.outcomes).total if metric == "paired" else sum(step.canary.unit_labels for step in begun.steps)
    return 60 * count / max(now - begun.minute, 1)


def _minutes(decision: Decision, at: datetime) -> float:
    """Return the minutes from the start of the rollout to a time."""
    return (at - decision.rollout.started_at) / _MINUTE
