"""Policies: each rule of the alert policy with its limits, present value and state."""

from dataclasses import dataclass
from datetime import datetime

from mlops_dagster.alerting.judging import Condition


@dataclass(frozen=True, slots=True)
class RuleRow:
    """One rule. Numbers are in `unit`: 93 with "%" is 93 percent."""

    rule: str
    part: str
    """The feature with the largest number, of a rule that has one number for each; else empty."""
    on: bool
    """False if the policy turned the rule off: then only its name is known."""
    warning: float | None
    critical: float | None
    unit: str
    """"%", "ms", "times", or empty."""
    low_is_bad: bool
    """True for the accuracy: the alert opens under the limit."""
    now: float | None
    low: float | None
    high: float | None
    samples: int | None
    min_samples: int | None
    """The samples under which nothing is said."""
    counted: str
    """The plural of what `samples` counts; empty if nothing is counted."""
    condition: Condition | None
    """ok, pending, firing, recovering or cannot_tell; None if the rule is off, or was never judged."""
    state: str
    """The condition in words: "ok", "pending 3 of 5 min", "cannot tell: 41 of 200 labels", "off", "not judged yet"."""
    progress: float | None
    """How near the warning is to opening, from 0 to 1: the evidence, or the time over the limit; 1 is open."""
    way: str
    """"proof, 1 false alarm a year", "over it for 5 min"."""
    since: datetime | None
    """The time since which the number has been over the warning limit."""
    judged_at: datetime | None


@dataclass(frozen=True, slots=True)
class PolicyPanel:
    """The rules of one model."""

    model: str
    version: str | None
    """The champion."""
    origin: str
    """The source of the policy, in words: a code location, or the defaults."""
    rules: tuple[RuleRow, ...]
