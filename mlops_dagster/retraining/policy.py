"""When to retrain: on drift, on bad performance, or on a cadence, whichever comes first."""

from calendar import monthrange
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

Cadence: TypeAlias = Literal["weekly", "monthly"]
Trigger: TypeAlias = Literal["performance", "drift", "cadence"]


class RetrainingPolicy(BaseModel):
    """What starts a retraining; what comes out of one is only ever a challenger."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    on_drift: bool = Field(default=True, description="a drift verdict of `retrain` starts one")
    cooldown_days: float = Field(
        default=7, ge=0, description="least time from the last retraining to one on drift or performance"
    )
    cadence: Cadence | None = Field(default="monthly", description="retrain this often, drift or not")


@dataclass(frozen=True, slots=True)
class DriftSignal:
    """What retraining needs of the latest drift report."""

    verdict: str
    features: tuple[str, ...]

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, object]) -> "DriftSignal":
        """From the metadata of a drift report; without a verdict in it, it cannot tell.

        >>> DriftSignal.from_metadata({"verdict": "retrain", "drifted": ["temp"], "rows": 930})
        DriftSignal(verdict='retrain', features=('temp',))
        """
        drifted = metadata.get("drifted")
        names = drifted if isinstance(drifted, Sequence) and not isinstance(drifted, str) else ()
        return cls(verdict=str(metadata.get("verdict", "cannot_tell")), features=tuple(str(name) for name in names))


@dataclass(frozen=True, slots=True)
class RetrainDecision:
    """Whether to retrain, what asked for it, and the reason either way."""

    retrain: bool
    trigger: Trigger | None
    reason: str


def should_retrain(
    policy: RetrainingPolicy,
    *,
    now: datetime,
    last_retraining_at: datetime | None,
    drift: DriftSignal | None,
    rollout_active: bool,
    performance: str | None = None,
) -> RetrainDecision:
    """Whether to retrain now; `performance` says why the champion does too badly to stay, if it does.

    A running rollout is finished first: its challenger may be the answer to the same drift. A model
    that was never trained here is due at once.

    >>> from datetime import UTC
    >>> march = datetime(2013, 3, 1, tzinfo=UTC)
    >>> signal = DriftSignal("retrain", ("dep_delay",))
    >>> should_retrain(
    ...     RetrainingPolicy(), now=march + timedelta(days=8), last_retraining_at=march, drift=signal,
    ...     rollout_active=False,
    ... )
    RetrainDecision(retrain=True, trigger='drift', reason='drift of dep_delay')
    """
    if rollout_active:
        return _not_now("a rollout is running; its outcome comes first")
    due = _due(policy.cadence, last_retraining_at, now)
    cooled = now if last_retraining_at is None else last_retraining_at + timedelta(days=policy.cooldown_days)
    asked_for = list(_signals(policy, drift, performance))
    if asked_for and cooled <= now:
        trigger, reason = asked_for[0]
        return RetrainDecision(True, trigger, reason)
    if due is not None and due <= now:
        return RetrainDecision(True, "cadence", f"the {policy.cadence} retraining was due on {due:%Y-%m-%d}")
    if asked_for:
        reason = asked_for[0][1]
        return _not_now(f"{reason}, but the last retraining is too fresh: not before {cooled:%Y-%m-%d %H:%M}")
    return _not_now(
        "no drift" if due is None else f"no drift; the {policy.cadence} retraining is due on {due:%Y-%m-%d}"
    )


def _signals(
    policy: RetrainingPolicy, drift: DriftSignal | None, performance: str | None
) -> Iterator[tuple[Trigger, str]]:
    """What asks for a retraining, and why; what is known of the answers comes before what is known of the inputs."""
    if performance is not None:
        yield "performance", performance
    if policy.on_drift and drift is not None and drift.verdict == "retrain":
        yield "drift", f"drift of {', '.join(drift.features)}"


def _not_now(reason: str) -> RetrainDecision:
    return RetrainDecision(False, None, reason)


def _due(cadence: Cadence | None, last: datetime | None, now: datetime) -> datetime | None:
    """When the cadence asks for the next retraining: a week or a calendar month after the last."""
    if cadence is None:
        return None
    if last is None:
        return now
    if cadence == "weekly":
        return last + timedelta(weeks=1)
    year, month = (last.year, last.month + 1) if last.month < 12 else (last.year + 1, 1)
    return last.replace(year=year, month=month, day=min(last.day, monthrange(year, month)[1]))
