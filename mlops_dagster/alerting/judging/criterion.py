"""The criterion of a rule: its limits as numbers of which larger is worse, and the way to an alert."""

import math
from dataclasses import dataclass
from datetime import timedelta
from typing import NamedTuple


class Proof(NamedTuple):
    """An alert opens on proof that a rate is over its limit."""

    false_alarms_a_year: float
    most: float = math.inf
    """The largest factor by which the events of a minute may raise the evidence."""


class Duration(NamedTuple):
    """An alert opens when the number has been over its limit for a time, and resolves after a time within."""

    opens: timedelta
    clears: timedelta
    clear_at: float = 1.0
    """The part of the limit that is taken for within."""


class Shown(NamedTuple):
    """The window of a rate that is shown, which is also the one that a `Duration` is about."""

    length: timedelta
    min_samples: int
    of: str
    """The events that are counted, as a word: labels, requests, rows."""


@dataclass(frozen=True, slots=True)
class Criterion:
    """The limits of a rule, and the way to an alert. `shown` is the window of a rate, None for another number."""

    warning: float
    critical: float | None
    way: Proof | Duration
    shown: Shown | None = None
