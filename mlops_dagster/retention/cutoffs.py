"""The time before which each kind of record of a model may go, by its policy and by the evidence in use. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Final

from mlops_dagster.retention.policy import Kind, RetentionPolicy

LOOKBACK: Final = timedelta(days=31)
"""A look at a time reads up to a month before it: totals, labels that are awaited, periods without a report."""

_AGAIN: Final = timedelta(days=8)
"""A report on a day is made again up to a week after its last label came."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """The evidence of a model that is in use: decisions rest on it, or it may still be asked for."""

    awaited: timedelta
    """How long a label is awaited."""
    window: timedelta
    """The length of the window of days on which the champion is judged."""
    rollouts: Sequence[tuple[datetime, datetime | None]] = ()
    """The start and the end of each rollout; None for one that runs."""


def kept_since(policy: RetentionPolicy, now: datetime, evidence: Evidence) -> dict[Kind, datetime]:
    """Return the beginning of the day (UTC) from which on each kind is whole.

    A kind is kept for the days that the policy says, and not less than the platform itself reads back.
    """
    least = {
        Kind.PREDICTIONS: evidence.awaited + _AGAIN,
        Kind.MINUTE_COUNTS: evidence.awaited + LOOKBACK,
        Kind.HOUR_COUNTS: evidence.awaited + evidence.window + LOOKBACK,
        Kind.DAY_COUNTS: evidence.awaited + evidence.window + LOOKBACK,
        Kind.HOUR_REPORTS: LOOKBACK + _AGAIN,
        Kind.REPORTS: evidence.awaited + evidence.window + LOOKBACK + _AGAIN,
    }
    keep = {kind: max(timedelta(days=policy.days(kind)), least.get(kind, timedelta())) for kind in Kind}
    return {kind: _midnight(now - length) for kind, length in keep.items()}


def shown_since(since: Mapping[Kind, datetime]) -> datetime | None:
    """Return the time from which on the past can be shown whole, if each kind is whole from `since` on; None: always.

    >>> from datetime import UTC
    >>> first = datetime(2026, 1, 1, tzinfo=UTC)
    >>> f"{shown_since({Kind.MINUTE_COUNTS: first, Kind.ALERTS: first}):%Y-%m-%d}"
    '2026-02-01'
    """
    back = {
        Kind.MINUTE_COUNTS: LOOKBACK,
        Kind.HOUR_COUNTS: LOOKBACK,
        Kind.DAY_COUNTS: LOOKBACK,
        Kind.HOUR_REPORTS: LOOKBACK,
        Kind.REPORTS: LOOKBACK,
        Kind.DECISIONS: timedelta(),
        Kind.ALERTS: timedelta(),
    }
    return max((since[kind] + length for kind, length in back.items() if kind in since), default=None)


def goes_before(since: Mapping[Kind, datetime], evidence: Evidence) -> dict[Kind, datetime]:
    """Return the time before which each kind goes: not after `since`, nor within a rollout that can be shown.

    A rollout that runs, or ran when the past can be shown, is shown from its first minute on.
    """
    shown = shown_since(since)
    starts = [_midnight(start) for start, end in evidence.rollouts if end is None or shown is None or end >= shown]
    running = [_midnight(start) for start, end in evidence.rollouts if end is None]
    needed = {
        Kind.PREDICTIONS: running,
        Kind.MINUTE_COUNTS: starts,
        Kind.HOUR_COUNTS: starts,
        Kind.DAY_COUNTS: starts,
    }
    return {kind: min([at, *needed.get(kind, ())]) for kind, at in since.items()}


def _midnight(at: datetime) -> datetime:
    return datetime.combine(at.date(), time(), at.tzinfo)
