"""Prospects of a rollout policy at a traffic, known before any version is trained.

Challengers of known quality are rolled out on expected counts, tick by tick, each tick one look by the real `decide`.
They differ in accuracy only, no request fails and none is slow, and rows are independent unless the policy states
otherwise: a challenger that cannot be promoted here never is.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from math import ceil
from types import MappingProxyType
from typing import Final, NamedTuple, TypeAlias

from pydantic import Field

from mlops_dagster.documents.strict import StrictModel
from mlops_dagster.predictions import BothScored, EventCounts, PairedCounts
from mlops_dagster.rollout.decide import decide
from mlops_dagster.rollout.entities import Outcome, Phase, Rollout
from mlops_dagster.rollout.evidence import EventsSince, Evidence, Labels, LabelsSince, StepCounts
from mlops_dagster.rollout.policy import RolloutPolicy
from mlops_dagster.statistics import INDEPENDENT

Shares: TypeAlias = Mapping[str, float]
"""By stratum, its share of the labels."""
ALIKE: Final[Shares] = MappingProxyType({"one": 0.5, "other": 0.5})


class Traffic(StrictModel):
    """The traffic of a model, by a team's own estimate."""

    requests_per_day: float = Field(gt=0, description="requests that the model answers in a day")
    label_delay_hours: float = Field(default=0, ge=0, description="hours from an answer until its label is known")


class Prospect(NamedTuple):
    """The fate of a challenger of a known quality."""

    challenger: str
    outcome: Outcome
    hours: float
    pairs: int
    reason: str


SAME: Final = "always the same answers"
CHALLENGERS: Final[Mapping[str, tuple[float, float]]] = {
    SAME: (0.0, 0.0),
    "as good, other answers on 6 %": (0.03, 0.03),
    "2 points better": (0.05, 0.03),
    "2 points worse": (0.03, 0.05),
    "10 points worse": (0.03, 0.13),
}
"""Shares of the labels where only the challenger is right, and where only the champion is."""

_WRONG: Final = 0.1
"""The share of the champion's answers that are wrong, where two arms are compared."""
_TICKS: Final = 200
_START: Final = datetime(2026, 3, 2, tzinfo=UTC)


def prospects(policy: RolloutPolicy, traffic: Traffic, shares: Shares = ALIKE) -> list[Prospect]:
    """Return what becomes of each of `CHALLENGERS`, where the strata have these shares of the labels."""
    return [prospect(name, odds, policy, traffic, shares) for name, odds in CHALLENGERS.items()]


def prospect(
    name: str, odds: tuple[float, float], policy: RolloutPolicy, traffic: Traffic, shares: Shares = ALIKE
) -> Prospect:
    """Return what becomes of a challenger that alone is right, and alone is wrong, on these shares of every stratum."""
    tick = timedelta(hours=max(ceil(policy.deadline_hours / _TICKS), 1))
    policy, shares = _of_two(policy, shares)
    expected = _Expected(odds, policy, traffic, shares, tick)
    return roll_out(policy, expected.evidence, _START, tick, shares)._replace(challenger=name)


def _of_two(policy: RolloutPolicy, shares: Shares) -> tuple[RolloutPolicy, Shares]:
    """Return two strata of which as much can be proven as of many: the counts of thousands would take minutes.

    A balanced loss of K strata of which the rarest has the share p is compared on a scale with the margin d K p, which
    is that of two strata of which one has K p / 2.
    """
    there = [share for share in shares.values() if share > 0]
    rarest = min(there)
    balanced = policy.compares_strata(shares)
    if balanced:
        rarest = min(len(there) * rarest / 2, 0.5)
    two = {"rarest": rarest, "other": 1 - rarest}
    if balanced and not policy.compares_strata(two):
        policy = policy.model_copy(update={"loss": "balanced"})
    return policy, two


class LeastHours(NamedTuple):
    """The least time that a rollout takes, and how it is made up."""

    total: float
    arithmetic: str


def least_hours(policy: RolloutPolicy, traffic: Traffic) -> LeastHours:
    """Return the least time until all steps have their evidence.

    >>> policy = RolloutPolicy(steps=(0.1, 0.5), shadow_hours=2, soak_hours=12)
    >>> round(least_hours(policy, Traffic(requests_per_day=2400, label_delay_hours=240)).total)
    484
    """
    per_hour = traffic.requests_per_day / 24
    beside = per_hour * (policy.paired_share if policy.uses_pairs else 1)
    shadow = max(policy.shadow_hours, policy.min_shadow_requests / beside)
    delay = 0.0 if policy.labels == "complaints" else max(traffic.label_delay_hours, policy.label_hours or 0)
    steps = [
        max(
            policy.soak_hours,
            policy.min_step_requests / (per_hour * weight),
            policy.min_step_paired / (beside if policy.uses_pairs else per_hour * weight) + delay,
        )
        for weight in policy.steps
    ]
    total = shadow + max(sum(steps), policy.min_canary_hours)
    each = " + ".join(f"{hours:.4g}" for hours in steps)
    of = "paired labels" if policy.uses_pairs else "labels of the canary's answers"
    arithmetic = (
        f"the shadow takes {shadow:.4g} hours, the steps {each} (each waits for {policy.min_step_paired} {of} of its "
        f"own, which come {delay:g} hours late, and {policy.min_step_requests} requests to the canary, of "
        f"{traffic.requests_per_day:g} a day), {total:.4g} hours in all"
    )
    return LeastHours(total, arithmetic)


def roll_out(
    policy: RolloutPolicy,
    evidence_at: Callable[[Rollout, datetime], Evidence],
    start: datetime,
    tick: timedelta,
    strata: Mapping[str, float] = MappingProxyType({}),
) -> Prospect:
    """Return the end of a rollout with a look each `tick`; `evidence_at` returns all evidence there is by then.

    `strata` are the shares of the strata among the labels, if the evidence has them.
    """
    now = start
    rollout = Rollout(
        1, "model", "1.0.0", "1.0.1", policy, Phase.SHADOW, 0, 0.0, start, None, start, False, {}, epoch=1,
        shared=INDEPENDENT, strata=strata,
    )  # fmt: skip
    while True:
        now += tick
        decision = decide(policy, rollout, evidence_at(rollout, now), now)
        if decision.outcome is Outcome.ADVANCE:
            step, weight, canary_at = rollout.step + 1, policy.steps[rollout.step], rollout.canary_at or now
            rollout = replace(rollout, phase=Phase.CANARY, step=step, weight=weight, canary_at=canary_at, step_at=now)
        elif decision.outcome is not Outcome.HOLD:
            pairs = decision.evidence.labels.paired.total
            return Prospect("", decision.outcome, (now - start) / timedelta(hours=1), pairs, decision.reason)
        rollout = replace(rollout, peaks=decision.peaks)


class _Tick(NamedTuple):
    """The counts that a tick adds."""

    weight: float
    step: int
    canary: int
    champion: int
    both: int
    outcomes: Mapping[str, PairedCounts]


class _Expected:
    """The evidence that is expected of one rollout, as it grows."""

    def __init__(
        self, odds: tuple[float, float], policy: RolloutPolicy, traffic: Traffic, shares: Shares, tick: timedelta
    ) -> None:
        self._odds, self._policy, self._shares, self._tick = odds, policy, shares, tick
        self._per_tick = traffic.requests_per_day * (tick / timedelta(days=1))
        late = max(traffic.label_delay_hours, policy.label_hours or 0)
        self._late = ceil(timedelta(hours=late) / tick)
        self._left: defaultdict[str, float] = defaultdict(float)
        self._ticks: list[_Tick] = []

    def evidence(self, rollout: Rollout, now: datetime) -> Evidence:
        self._ticks.append(self._next(rollout))
        ticks, minutes = self._ticks, self._tick // timedelta(minutes=1)
        began = now - self._tick * len(ticks)
        labelled = ticks[: max(len(ticks) - self._late, 0)]
        scored = EventCounts(requests=sum(each.both for each in ticks))
        return Evidence(
            through=now,
            since=tuple(
                EventsSince(minutes * start, self._arms(ticks[start:]), _both(ticks[start:]))
                for start in late_starts(ticks)
            ),
            shadow=scored,
            recent=EventCounts(requests=1),  # its traffic never stops
            labels=Labels(
                units=scored.requests,
                labelled=sum(each.both for each in labelled),
                complete_until=began + self._tick * len(labelled),
                since=tuple(
                    LabelsSince(minutes * start, _sum(labelled[start:]), self._arms(labelled[start:]))
                    for start in late_starts(labelled)
                ),
                step=sum(each.both for each in labelled if each.step == rollout.step),
                days=_by_day(labelled, began, self._tick),
            ),
        )

    def _next(self, rollout: Rollout) -> _Tick:
        canary = self._whole("canary", self._per_tick * rollout.weight)
        champion = self._whole("champion", self._per_tick * (1 - rollout.weight))
        both = self._whole("both", self._per_tick * self._policy.paired_share)
        wins, losses = self._odds
        outcomes = {}
        for name, share in self._shares.items():
            rows = self._whole(name, both * share)
            won, lost = self._whole(f"{name} won", rows * wins), self._whole(f"{name} lost", rows * losses)
            outcomes[name] = PairedCounts(won, lost, max(rows - won - lost, 0))
        return _Tick(rollout.weight, rollout.step, canary, champion, both, outcomes)

    def _arms(self, ticks: Sequence[_Tick]) -> tuple[StepCounts, ...]:
        wins, losses = self._odds
        wrong = max(_WRONG + losses - wins, 0.0)
        found = []
        for weight in sorted({each.weight for each in ticks if each.weight}):
            its = [each for each in ticks if each.weight == weight]
            canary, champion = sum(each.canary for each in its), sum(each.champion for each in its)
            found.append(StepCounts(weight, _answered(canary, wrong), _answered(champion, _WRONG)))
        return tuple(found)

    def _whole(self, name: str, amount: float) -> int:
        """Return the whole part of the amount plus the earlier remainder, and keep the new remainder."""
        self._left[name] += amount
        whole = int(self._left[name] + 1e-9)
        self._left[name] -= whole
        return whole


def late_starts(ticks: Sequence[object]) -> list[int]:
    """Return the ticks from which evidence is counted: the first, and 1, 2, 4... before the end."""
    return [0, *sorted(len(ticks) - 2**n for n in range(len(ticks).bit_length()) if len(ticks) > 2**n)]


def _both(ticks: Sequence[_Tick]) -> BothScored:
    return BothScored(requests=sum(each.both for each in ticks))


def _answered(requests: int, wrong_share: float) -> EventCounts:
    wrong = round(requests * wrong_share)
    return EventCounts(
        requests=requests, rows=requests, labelled=requests, wrong=wrong, units=requests, unit_labels=requests,
        bad_wrong=wrong,
    )  # fmt: skip


def _sum(ticks: Sequence[_Tick]) -> dict[str, PairedCounts]:
    names = ticks[0].outcomes if ticks else ()
    return {name: sum((each.outcomes[name] for each in ticks), PairedCounts()) for name in names}


def _by_day(ticks: Sequence[_Tick], began: datetime, tick: timedelta) -> tuple[PairedCounts, ...]:
    days: defaultdict[date, PairedCounts] = defaultdict(PairedCounts)
    for number, each in enumerate(ticks):
        days[(began + number * tick).date()] += sum(each.outcomes.values(), PairedCounts())
    return tuple(days.values())
