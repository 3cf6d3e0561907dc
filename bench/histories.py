"""Rollouts simulated from requests up, and every test of `rollout/evaluation.py` at every event of them at once.

A history is all that a rollout's requests did: an hour of shadow, four steps of twelve hours, a day's watch after the
promotion, some 200,000 requests. It goes on to its end whatever is seen in it.

`rising_e` takes the same closed forms as `decide`, but as running sums: a `decide` for each of the events would take
minutes for one history. `evidence` counts the same history plainly, for `decide`, so that both can be compared.
"""

from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

from mlops_dagster.rollout import (
    EventCounts,
    Evidence,
    Outcome,
    PairedCounts,
    Phase,
    RecentCounts,
    Rollout,
    RolloutPolicy,
    StepCounts,
    decide,
)
from mlops_dagster.rollout.evidence import BadEvent
from mlops_dagster.statistics.bad_event import WORSE
from mlops_dagster.statistics.paired import FRACTIONS
from mlops_dagster.statistics.rate import ODDS_RATIOS

Floats: TypeAlias = npt.NDArray[np.float64]
Ints: TypeAlias = npt.NDArray[np.int64]
Bools: TypeAlias = npt.NDArray[np.bool_]

MIDNIGHT: Final = datetime(2013, 3, 1, tzinfo=UTC)
RAMP: Final = (0.01, 0.05, 0.2, 0.5)
STEP_HOURS: Final = 12
HOURS: Final = (1, *[STEP_HOURS] * len(RAMP), 24)
"""Of the shadow, of each step, of the watch."""
REQUESTS_PER_MINUTE: Final = 46
KEYS: Final = 20_000
COLD_ANSWERS: Final = 40
ERROR_RATE: Final = 0.004
WRONG_RATE: Final = 0.07
DISAGREEMENT: Final = 0.06
SLOW_MS: Final = 200.0
MEDIAN_MS: Final = 45.0
SPREAD: Final = 0.6
"""Of the logarithm of the latency: some 0.7 % of the answers are slow."""


class World(NamedTuple):
    """What makes life hard for a test."""

    daily: bool = False
    """Traffic, errors and wrong answers swing by a factor of nine over the day, slow answers by four."""
    sticky: bool = False
    """20,000 keys by Zipf's law stay in their arm; one of the busiest fails every time, whoever answers."""
    cold: bool = False
    """The first 40 answers of the canary are all slow."""


class Challenger(NamedTuple):
    """By default as good as the champion in every respect."""

    errors: float = 1.0
    slow: float = 1.0
    """How many times as often as the champion."""
    loses: float = 0.0
    """Accuracy."""


class History(NamedTuple):
    """One row per request, in their order; what the other version did was done off the response path."""

    minute: Ints
    weight: Floats
    """The challenger's share: 0 in shadow, 1 in the watch."""
    canary: Bools
    """The challenger answered, in a step of the ramp."""
    key: Ints
    champion_error: Bools
    challenger_error: Bools
    champion_wrong: Bools
    challenger_wrong: Bools
    latency: Floats
    """Of the answer, in milliseconds."""

    def until(self, request: int) -> "History":
        """That request is the last."""
        return History._make(column[: request + 1] for column in self)

    @property
    def ramp(self) -> Bools:
        return (self.weight > 0) & (self.weight < 1)

    @property
    def bad(self) -> dict[BadEvent, Bools]:
        """What the version that answered in the ramp did."""
        error = np.where(self.canary, self.challenger_error, self.champion_error)
        wrong = np.where(self.canary, self.challenger_wrong, self.champion_wrong) & ~error
        return {"error": error & self.ramp, "slow": (self.latency > SLOW_MS) & self.ramp, "wrong": wrong & self.ramp}

    @property
    def firsts(self) -> dict[BadEvent, Bools]:
        """Of these the first of each key, which is what counts."""
        return {metric: self._first_of_key(each) for metric, each in self.bad.items()}

    @property
    def challenger_firsts(self) -> Bools:
        """The challenger's errors, as the rollups count them: once for each key and role."""
        beside = self.ramp & ~self.canary
        roles = (self.weight == 0, beside, self.weight == 1)
        alone = [self._first_of_key(self.challenger_error & role) for role in roles]
        return np.asarray(np.logical_or.reduce([*alone, self.firsts["error"] & self.canary]))

    @property
    def paired(self) -> Bools:
        """Both versions scored it; the label comes at once."""
        return ~self.champion_error & ~self.challenger_error

    def _first_of_key(self, event: Bools) -> Bools:
        rows = np.flatnonzero(event)
        first = np.zeros_like(event)
        first[rows[np.unique(self.key[rows], return_index=True)[1]]] = True
        return first


def simulate(world: World, challenger: Challenger, rng: np.random.Generator) -> History:
    starts_at = rng.uniform(0, 24)
    minutes = np.arange(sum(HOURS) * 60)
    of_day = 2 * np.pi * (starts_at + minutes / 60) / 24
    swing = 0.8 if world.daily else 0.0
    minute = np.repeat(minutes, rng.poisson(REQUESTS_PER_MINUTE * (1 + swing * np.sin(of_day))))
    n = len(minute)
    weight = np.repeat((0.0, *RAMP, 1.0), np.array(HOURS) * 60)[minute]
    # Answers are slow when there is much traffic; errors have their own hour.
    load, trouble = (1 + swing / 5 * np.sin(of_day))[minute], (1 + swing * np.cos(of_day))[minute]

    if world.sticky:
        popularity = np.cumsum(1 / np.arange(1, KEYS + 1) ** 1.1)
        key = np.searchsorted(popularity, rng.random(n) * popularity[-1])
        dealt, slower = rng.random(KEYS)[key], rng.lognormal(0, 0.3, KEYS)[key]
        broken = key == rng.integers(4, 50)
    else:
        key, dealt, slower, broken = np.arange(n), rng.random(n), np.ones(n), np.zeros(n, dtype=bool)
    ramp = (weight > 0) & (weight < 1)
    canary = ramp & (dealt < weight)

    champion_error = (rng.random(n) < ERROR_RATE * trouble) | broken
    challenger_error = (rng.random(n) < ERROR_RATE * trouble * challenger.errors) | broken
    lost, won = (DISAGREEMENT + challenger.loses) / 2, (DISAGREEMENT - challenger.loses) / 2
    both_wrong = (WRONG_RATE - DISAGREEMENT / 2) * trouble
    u = rng.random(n)
    loss, win, both = u < lost, (u >= lost) & (u < lost + won), (u >= 1 - both_wrong) | broken
    tail = rng.random(n) / np.where(canary, challenger.slow, 1.0)  # so any tail is that much heavier
    latency = MEDIAN_MS * load * slower * np.exp(-SPREAD * ndtri(tail))
    if world.cold:
        latency[np.flatnonzero(canary)[:COLD_ANSWERS]] += 2 * SLOW_MS
    return History(minute, weight, canary, key, champion_error, challenger_error, win | both, loss | both, latency)


def rising_e(policy: RolloutPolicy, history: History) -> tuple[Ints, Floats]:
    """Requests after which the e-value for a rollback may have risen, and what it is then.

    It rises with what the challenger does badly, and may rise with a new minute, which is reckoned from others on. It
    falls with everything else, so no look between two of these sees more than the one before it.
    """
    firsts, limit_bad, paired, in_watch = history.firsts, history.challenger_firsts, history.paired, history.weight == 1
    loss = paired & history.challenger_wrong & ~history.champion_wrong
    win = paired & history.champion_wrong & ~history.challenger_wrong
    new_minute = np.diff(history.minute, prepend=-1) > 0
    raising = np.logical_or.reduce([limit_bad, loss, new_minute, *(each & history.canary for each in firsts.values())])
    looks = np.flatnonzero(raising)

    def relative(metric: BadEvent, theta: float, forgiven: int = 0) -> Floats:
        cold = firsts[metric] & history.canary & (history.weight == RAMP[0])
        rows = np.flatnonzero(firsts[metric] & ~(cold & (np.cumsum(cold) <= forgiven)))
        share, is_canary = history.weight[rows], history.canary[rows]
        q0 = share * theta / (1 - share + share * theta)
        gained = np.where(is_canary, np.log(WORSE)[:, None], 0) - np.log1p(q0 * (WORSE[:, None] - 1))
        gained = np.hstack([np.zeros((len(WORSE), 1)), np.cumsum(gained, axis=1)])
        return mixed(gained[:, np.searchsorted(rows, looks, side="right")])

    all_bad = np.append(0, np.cumsum(limit_bad))

    def over_limit_since(first: Ints) -> Floats:
        """Request; one for each look."""
        bad, n, odds = all_bad[looks + 1] - all_bad[first], looks + 1 - first, ODDS_RATIOS[:, None]
        return mixed(bad * np.log(odds) - n * np.log1p(policy.max_error_rate * (odds - 1)))

    def over_limit() -> Floats:
        """Half on the whole, half on its minutes, of a week."""
        e = over_limit_since(np.zeros_like(looks)) / 2
        for back in BACK:
            start = history.minute[looks] - back
            late = over_limit_since(np.searchsorted(history.minute, start)) / (4 * 7 * 24 * 60)
            e += np.where(start > 0, late, 0)
        return np.asarray(e)

    def pairs(of: Bools) -> Floats:
        losses, wins, n = (np.cumsum(each & of, dtype=np.int64)[looks] for each in (loss, win, paired))
        return paired_e(losses, wins, n - losses - wins, policy.margin)

    worse = [
        relative("error", policy.theta.error),
        relative("slow", policy.theta.slow, policy.cold_start),
        pairs(np.ones_like(in_watch)) if policy.uses_pairs else relative("wrong", policy.theta.wrong),
        over_limit(),
        *([pairs(in_watch)] if policy.uses_pairs else []),
    ]
    return looks, np.mean(worse, axis=0)


BACK: Final = (0, *(2**n for n in range(13)))
"""Minutes: what is looked at apart goes back by so many, and a history takes less than the last."""


def paired_e(losses: Ints, wins: Ints, ties: Ints, margin: float, *, not_worse: bool = False) -> Floats:
    """`paired_e_value` on arrays of counts."""
    nu = (-FRACTIONS / (1 - margin) if not_worse else FRACTIONS / (1 + margin)).reshape(-1, *[1] * losses.ndim)
    of_loss, of_tie, of_win = np.log1p(nu * (1 - margin)), np.log1p(-nu * margin), np.log1p(-nu * (1 + margin))
    return mixed(np.asarray(losses * of_loss + ties * of_tie + wins * of_win, dtype=np.float64))


def mixed(log_e: Floats) -> Floats:
    """The mean over the bets, which are the first axis."""
    with np.errstate(over="ignore"):
        return np.asarray(np.exp(np.logaddexp.reduce(log_e) - np.log(len(log_e))))


def evidence(history: History) -> Evidence:
    """The whole of a history as counts: what `decide` is given."""
    firsts, bad, paired, in_watch = history.firsts, history.bad, history.paired, history.weight == 1
    own_wrong, now = history.challenger_wrong & ~history.challenger_error, int(history.minute[-1])

    def served(rows: Bools) -> EventCounts:
        wrong, first_wrong = bad["wrong"] & rows, firsts["wrong"] & rows
        errors, slow = bad["error"] & rows, bad["slow"] & rows
        first_errors, first_slow = firsts["error"] & rows, firsts["slow"] & rows
        return EventCounts(
            *(int(each.sum()) for each in (rows, errors, slow, rows & ~errors)),
            *(int(each.sum()) for each in (wrong, first_errors, first_slow, first_wrong)),
        )

    def beside(rows: Bools) -> EventCounts:
        errors, wrong, first = (
            int((each & rows).sum()) for each in (history.challenger_error, own_wrong, history.challenger_firsts)
        )
        return EventCounts(int(rows.sum()), errors, 0, int(rows.sum()) - errors, wrong, bad_errors=first)

    def pairs(rows: Bools) -> PairedCounts:
        win, loss = history.champion_wrong & ~own_wrong, own_wrong & ~history.champion_wrong
        wins, losses, n = (int((each & paired & rows).sum()) for each in (win, loss, paired))
        return PairedCounts(wins, losses, n - wins - losses)

    return Evidence(
        steps=tuple(
            StepCounts(weight, served(at & history.canary), served(at & ~history.canary))
            for weight in RAMP
            if (at := history.weight == weight).any()
        ),
        paired=pairs(paired),
        shadow=beside((history.weight == 0) | (history.ramp & ~history.canary)),
        step_paired=pairs(history.weight == history.weight[-1]),
        through=MIDNIGHT + timedelta(minutes=now + 1),
        watch=beside(in_watch),
        watch_paired=pairs(in_watch),
        recent=tuple(
            RecentCounts(now - back, int(late.sum()), int((late & history.challenger_firsts).sum()))
            for back in BACK
            if now > back
            for late in [history.minute >= now - back]
        ),
    )


def check_with_decide(
    policy: RolloutPolicy, history: History, looks: Ints, e: Floats, rng: np.random.Generator, count: int = 25
) -> int:
    """`decide` on the plain counts at some of the looks comes to the same, or AssertionError; returns how many.

    The highest one is among them. Each look is the only one so far: peaks are the caller's running maximum.
    """
    chosen = {*rng.integers(len(looks), size=count).tolist(), int(e.argmax())}
    for look in chosen:
        seen = evidence(history.until(int(looks[look])))
        weight = float(history.weight[looks[look]])
        phase = Phase.SHADOW if weight == 0 else Phase.WATCH if weight == 1 else Phase.CANARY
        step = sum(each <= weight for each in RAMP)
        began = (MIDNIGHT, MIDNIGHT, MIDNIGHT)
        rollout = Rollout(1, "m", "1.0.0", "1.0.1", policy, phase, step, weight, *began, False, {}, epoch=1)
        decision = decide(policy, rollout, seen, seen.through)
        found = decision.test("rollback.worse").e_value
        assert np.isclose(found, e[look], rtol=1e-9), f"E {e[look]} after request {looks[look]}, by decide {found}"
        assert (decision.outcome is Outcome.ROLLBACK) == (e[look] >= 1 / policy.alpha), decision.reason
    return len(chosen)


def good_at_dawn(at: datetime) -> tuple[float, float]:
    """Wins and losses: 3 points worse over the day, 5 better at 6 o'clock, 11 worse at 18; as much traffic at both."""
    loses = 0.03 - 0.08 * np.sin(at.hour / 24 * 2 * np.pi)
    return (0.12 - loses) / 2, (0.12 + loses) / 2
