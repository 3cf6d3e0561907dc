"""The decision to retrain: by drift, concept drift, bad performance or a cadence, the first that applies."""

from calendar import monthrange
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Annotated, Literal, TypeAlias

from pydantic import BeforeValidator, Field, WithJsonSchema

from mlops_dagster.documents.strict import StrictModel
from mlops_dagster.documents.texts import counted
from mlops_dagster.retraining.signals import ConceptSignal, DriftSignal, Numbers, PerformanceSignal
from mlops_dagster.retraining.weigh import Weighed, weigh

Cadence: TypeAlias = Literal["weekly", "monthly"]
Trigger: TypeAlias = Literal["performance", "concept_drift", "drift", "cadence"]

BUDGET_PERIOD = timedelta(days=30)


def _off_is_null(value: object) -> object:
    """Return the cadence; False becomes None, as YAML reads `off` as false. Raises ValueError."""
    if value is False:
        return None
    if value not in ("weekly", "monthly", None):
        raise ValueError(f"give weekly, monthly, or null (or off) for no calendar; got {value!r}")
    return value


class RetrainingPolicy(StrictModel):
    """The triggers and limits of retraining; a candidate can only become a challenger."""

    on_drift: bool = Field(default=True, description="drift of the scores, or drift that may cost answers, starts one")
    on_concept_drift: bool = Field(default=True, description="a champion proven worse than its evaluation starts one")
    cooldown_days: float = Field(
        default=7, ge=0, le=36_500, description="least time from the last retraining to one on drift or performance"
    )
    budget: int = Field(default=6, ge=1, description="most retrainings in 30 days, for any reason; failed ones count")
    retries: int = Field(
        default=2, ge=0, le=10, description="how often a step that failed, or a killed run, is tried again"
    )
    retry_minutes: float = Field(
        default=5, ge=0, le=1440, description="wait before the first of them; twice as long each time"
    )
    max_hours: float = Field(
        default=12, gt=0, le=8760, description="a run that takes longer is ended and counts as killed"
    )
    cadence: Annotated[
        Cadence | None, BeforeValidator(_off_is_null), WithJsonSchema({"enum": ["weekly", "monthly", None, False]})
    ] = Field(default="monthly", description="retrain this often, drift or not; null (or off): by no calendar")


@dataclass(frozen=True, slots=True)
class RetrainDecision:
    """The decision to retrain or not, with its trigger, the reason, and the numbers of the trigger."""

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
    failed_at: Sequence[datetime] = (),
) -> RetrainDecision:
    """Return the decision to retrain now, by `performance`, `concept`, `drift` or the cadence.

    A retraining that is `running`, or a rollout, is finished first: its challenger may already answer the same drift.
    `retrained_at` are the retrainings so far. A model never trained here is due at once. Failed ones, `failed_at`, cost
    as much and count against the budget; but as they change nothing, no cool-down follows them. Times more than a day
    ahead come from a wrong clock or a wrong `as_of`, and are ignored.

    >>> from datetime import UTC
    >>> march = datetime(2013, 3, 1, tzinfo=UTC)
    >>> signal = DriftSignal("retrain", ("dep_delay",), score="monitor", ks=0.2)
    >>> should_retrain(
    ...     RetrainingPolicy(), now=march + timedelta(days=8), retrained_at=[march], drift=signal,
    ...     rollout_active=False,
    ... ).reason
    'drift of dep_delay, which moves the scores (KS D 0.200); no daily report of this champion was known'
    """
    if running:
        return _not_now("a retraining is running")
    if rollout_active:
        return _not_now("a rollout is running; its outcome comes first")
    latest = now + timedelta(days=1)
    succeeded = [at for at in retrained_at if at <= latest]
    spent = sorted(at for at in (*succeeded, *failed_at) if now - BUDGET_PERIOD < at <= latest)
    if len(spent) >= policy.budget:
        free = spent[-policy.budget] + BUDGET_PERIOD
        failed = sum(at in spent for at in failed_at)
        all_of_them = f"{counted(len(spent), 'retrainings')} in 30 days" + (
            f", {failed} of which failed" if failed else ""
        )
        return _not_now(f"{all_of_them}, the budget is {policy.budget}; the next {free:%Y-%m-%d}")
    last = max(succeeded, default=None)
    due = _due(policy.cadence, last, now)
    cooled = now if last is None else last + timedelta(days=policy.cooldown_days)
    weighed = _weighed(policy, drift, concept)
    asked_for = list(_signals(policy, drift, weighed, performance, concept))
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
    said = [weighed.reason] + ([concept.reason] if concept is not None and concept.reason else [])
    said += [] if due is None else [f"the {policy.cadence} retraining is due on {due:%Y-%m-%d}"]
    return _not_now("; ".join(said))


def _weighed(policy: RetrainingPolicy, drift: DriftSignal | None, concept: ConceptSignal | None) -> Weighed:
    """Return whether drift asks for a retraining, with the reason."""
    if not policy.on_drift:
        return Weighed(False, "drift starts none by the policy")
    if drift is None:
        return Weighed(False, "no drift report of this champion in the last days")
    return weigh(drift, None if concept is None else concept.harm)


def _signals(
    policy: RetrainingPolicy,
    drift: DriftSignal | None,
    weighed: Weighed,
    performance: PerformanceSignal | None,
    concept: ConceptSignal | None,
) -> Iterator[tuple[Trigger, str, Numbers]]:
    """Yield each trigger that asks, with reason and numbers; facts about answers come before facts about inputs."""
    if performance is not None:
        yield "performance", performance.reason, performance.numbers
    if policy.on_concept_drift and concept is not None and concept.drifted:
        yield "concept_drift", concept.reason, concept.numbers
    if drift is not None and weighed.asks:
        yield "drift", weighed.reason, drift.numbers


def _day(at: datetime | None) -> str:
    return "never" if at is None else f"{at:%Y-%m-%d}"


def _not_now(reason: str) -> RetrainDecision:
    return RetrainDecision(False, None, reason)


def _due(cadence: Cadence | None, last: datetime | None, now: datetime) -> datetime | None:
    """Return the time of the next retraining by the cadence: a week or a calendar month after the last."""
    if cadence is None:
        return None
    if last is None:
        return now
    if cadence == "weekly":
        return last + timedelta(weeks=1)
    year, month = (last.year, last.month + 1) if last.month < 12 else (last.year + 1, 1)
    return last.replace(year=year, month=month, day=min(last.day, monthrange(year, month)[1]))
