"""Rollouts: the two versions side by side, and the evidence of each test."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Literal


class Outlook(StrEnum):
    """The prospect of one test, at the present rates."""

    PROVEN = "proven"
    COMING = "coming"
    """It is proven before the deadline if things go on like this."""
    TOO_LATE = "too_late"
    """It would be proven, but not before the deadline."""
    UNKNOWN = "unknown"
    """Evidence of this kind does not come, or has not begun to: no rate is known."""
    NEVER = "never"
    """More of the same evidence proves nothing."""
    INCONCLUSIVE = "inconclusive"
    """Evidence of this kind is lacking; `needed` says what is missing."""
    WATCHED = "watched"
    """A test against the challenger: nobody waits for its proof."""


@dataclass(frozen=True, slots=True)
class Proof:
    """One test with its evidence."""

    test: str
    """`metric.question`, such as `paired.not_worse`."""
    claim: str
    e_value: float
    """Never infinite."""
    limit: float
    progress: float
    """log(e_value) / log(limit), from 0 to 1: 1 is proven."""
    p: float
    outlook: Outlook
    needed: str
    """What is still needed, in words; empty if nothing is."""
    hours: float | None
    """The time until then at the present rate; None if it is not known, or nothing is needed."""
    expected_at: datetime | None
    counts: tuple[tuple[str, float], ...]
    """The counts that the e-value was computed from, by name."""


@dataclass(frozen=True, slots=True)
class Compared:
    """One metric of the canary and the champion, while both answered."""

    metric: Literal["accuracy", "errors", "slow answers", "P99"]
    unit: Literal["share", "ms"]
    challenger: float | None
    champion: float | None
    difference: float | None
    """Challenger minus champion."""
    low: float | None
    high: float | None
    """The 95 % interval of the difference; None if there is none."""
    challenger_n: int
    champion_n: int
    better: Literal["more", "less"]
    """Which direction is better."""


@dataclass(frozen=True, slots=True)
class RolloutPanel:
    """One rollout that has not ended."""

    id: int
    model: str
    challenger: str
    champion: str
    phase: Literal["shadow", "canary", "watch"]
    """`watch` is the bake after the promotion."""
    step: int
    """0 in shadow."""
    steps: tuple[float, ...]
    """The canary's share of the traffic at each step."""
    weight: float
    paused: bool
    started_at: datetime
    step_at: datetime
    soak_until: datetime | None
    """The end of the least time in this step; None if it is over."""
    deadline: datetime
    outcome: str
    """The outcome of a look at the evidence now: advance, hold, promote, rollback or give_up."""
    reason: str
    waits_for_approval: bool
    decision: int | None
    """The last recorded decision."""
    decided_at: datetime | None
    compared: tuple[Compared, ...]
    proofs: tuple[Proof, ...]
    """Those that are waited for first."""
    labels: str
    """How many labels count, up to when, in a sentence."""
    without_label: tuple[tuple[str, int], ...]
    """The label debt: answers and pairs without a label."""
    kept_policy: str
    """The keys of the policy that were published otherwise since it began, in a sentence; empty if none were."""
    commands: tuple[str, ...]
    dagster: str | None
    grafana: str | None
