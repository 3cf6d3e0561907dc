"""When to retrain: on drift of inputs or concept, on bad performance, or on a cadence, whichever comes first."""

from calendar import monthrange
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

Cadence: TypeAlias = Literal["weekly", "monthly"]
Trigger: TypeAlias = Literal["performance", "concept_drift", "drift", "cadence"]

BUDGET_PERIOD = timedelta(days=30)


class RetrainingPolicy(BaseModel):
    """What starts a retraining; what comes out of one is only ever a challenger."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    on_drift: bool = Field(default=True, description="a drift verdict of `retrain` starts one")
    on_concept_drift: bool = Field(default=True, description="a champion proven worse than its evaluation starts one")
    cooldown_days: float = Field(
        default=7, ge=0, description="least time from the last retraining to one on drift or performance"
    )
    budget: int = Field(default=6, ge=1, description="most retrainings in 30 days, whatever asks for them")
    retries: int = Field(
        default=2, ge=0, le=10, description="how often a step that failed, or a killed run, is tried again"
    )
    retry_minutes: float = Field(default=5, ge=0, description="wait before the first of them; twice as long each time")
    max_hours: float = Field(default=12, gt=0, description="a run that takes longer is ended and counts as killed")
    cadence: Cadence | None = Field(default="monthly", description="retrain this often, drift or not")


Numbers: TypeAlias = Mapping[str, str]
"""What a trigger was measured at and held against, as the run shows it."""


@dataclass(frozen=True, slots=True)
class DriftSignal:
    """What retraining needs of the latest drift report."""

    verdict: str
    features: tuple[str, ...]
    psi: Mapping[str, float] = field(default_factory=dict)
    noise: Mapping[str, float] = field(default_factory=dict)
    limit: float | None = None
    """The PSI over which a feature asks for retraining."""

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, object]) -> "DriftSignal":
        """From the metadata of a drift report; without a verdict in it, it cannot tell.

        >>> DriftSignal.from_metadata({"verdict": "retrain", "drifted": ["temp"], "psi": {"temp": 0.4}}).psi
        {'temp': 0.4}
        """
        drifted = metadata.get("drifted")
        names = drifted if isinstance(drifted, Sequence) and not isinstance(drifted, str) else ()
        features = tuple(str(name) for name in names)
        return cls(
            verdict=str(metadata.get("verdict", "cannot_tell")),
            features=features,
            psi=_numbers_of(metadata.get("psi"), features),
            noise=_numbers_of(metadata.get("psi_noise"), features),
            limit=_numbers_of(metadata, ["psi_limit"]).get("psi_limit"),
        )

    @property
    def numbers(self) -> Numbers:
        return {
            "features": ", ".join(self.features),
            **({} if self.limit is None else {"limit": f"{self.limit:.4g}"}),
            **{f"psi {name}": f"{value:.4g}" for name, value in self.psi.items()},
            **{f"noise {name}": f"{value:.4g}" for name, value in self.noise.items()},
        }


@dataclass(frozen=True, slots=True)
class PerformanceSignal:
    """Why the champion does too badly to stay, and by what numbers."""

    reason: str
    numbers: Numbers = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ConceptSignal:
    """What retraining needs of the latest daily report: whether the champion is proven worse, and by what numbers."""

    drifted: bool
    reason: str
    numbers: Numbers = field(default_factory=dict)

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, object]) -> "ConceptSignal":
        """From the metadata of a daily report; the numbers are of the first slice that drifted.

        >>> ConceptSignal.from_metadata({"concept": "not_proven", "concept_reason": "0.10 wrong"})
        ConceptSignal(drifted=False, reason='0.10 wrong', numbers={})
        """
        slices = metadata.get("concept_slices")
        found = slices if isinstance(slices, Sequence) and not isinstance(slices, str) else ()
        first = next((part for part in found if isinstance(part, Mapping) and part.get("drifted")), {})
        names = ("name", "rows", "wrong", "evaluated_rows", "evaluated_wrong", "limit", "e_value", "needed", "since")
        return cls(
            drifted=metadata.get("concept") == "drifted",
            reason=str(metadata.get("concept_reason", "")),
            numbers={name: _text(first[name]) for name in names if name in first},
        )


@dataclass(frozen=True, slots=True)
class RetrainDecision:
    """Whether to retrain, what asked for it, the reason either way, and the numbers of the trigger."""

    retrain: bool
    trigger: Trigger | None
    reason: str
    numbers: Numbers = field(default_factory=dict)


def should_retrain(
    policy: RetrainingPolicy,
    *,
    now: datetime,
    retrained_at: Sequence[datetime],
    drift: DriftSignal | None,
    rollout_active: bool,
    performance: PerformanceSignal | None = None,
    concept: ConceptSignal | None = None,
    running: bool = False,
) -> RetrainDecision:
    """Whether to retrain now, by what asks for it: `performance`, `concept`, `drift`, the cadence.

    A retraining that is `running`, or a rollout, is finished first: its challenger may be the answer to the same
    drift. `retrained_at` are the retrainings so far. A model never trained here is due at once.

    >>> from datetime import UTC
    >>> march = datetime(2013, 3, 1, tzinfo=UTC)
    >>> signal = DriftSignal("retrain", ("dep_delay",))
    >>> should_retrain(
    ...     RetrainingPolicy(), now=march + timedelta(days=8), retrained_at=[march], drift=signal,
    ...     rollout_active=False,
    ... ).reason
    'drift of dep_delay'
    """
    if running:
        return _not_now("a retraining is running")
    if rollout_active:
        return _not_now("a rollout is running; its outcome comes first")
    spent = sorted(at for at in retrained_at if at > now - BUDGET_PERIOD)
    if len(spent) >= policy.budget:
        free = spent[-policy.budget] + BUDGET_PERIOD
        return _not_now(f"{len(spent)} retrainings in 30 days, the budget is {policy.budget}; the next {free:%Y-%m-%d}")
    last = max(retrained_at, default=None)
    due = _due(policy.cadence, last, now)
    cooled = now if last is None else last + timedelta(days=policy.cooldown_days)
    asked_for = list(_signals(policy, drift, performance, concept))
    if asked_for and cooled <= now:
        trigger, reason, numbers = asked_for[0]
        return RetrainDecision(True, trigger, reason, numbers)
    if due is not None and due <= now:
        reason = f"the {policy.cadence} retraining was due on {due:%Y-%m-%d}"
        numbers = {"cadence": str(policy.cadence), "last": _day(last), "due": _day(due)}
        return RetrainDecision(True, "cadence", reason, numbers)
    if asked_for:
        reason = asked_for[0][1]
        return _not_now(f"{reason}, but the last retraining is too fresh: not before {cooled:%Y-%m-%d %H:%M}")
    return _not_now(
        "no drift" if due is None else f"no drift; the {policy.cadence} retraining is due on {due:%Y-%m-%d}"
    )


def _signals(
    policy: RetrainingPolicy,
    drift: DriftSignal | None,
    performance: PerformanceSignal | None,
    concept: ConceptSignal | None,
) -> Iterator[tuple[Trigger, str, Numbers]]:
    """What asks for a retraining, and why; what is known of the answers comes before what is known of the inputs."""
    if performance is not None:
        yield "performance", performance.reason, performance.numbers
    if policy.on_concept_drift and concept is not None and concept.drifted:
        yield "concept_drift", concept.reason, concept.numbers
    if policy.on_drift and drift is not None and drift.verdict == "retrain":
        yield "drift", f"drift of {', '.join(drift.features)}", drift.numbers


def _numbers_of(values: object, names: Sequence[str]) -> dict[str, float]:
    known = values if isinstance(values, Mapping) else {}
    return {name: float(known[name]) for name in names if isinstance(known.get(name), int | float)}


def _text(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _day(at: datetime | None) -> str:
    return "never" if at is None else f"{at:%Y-%m-%d}"


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
