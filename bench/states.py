"""What becomes of many rollouts at once: the rules of `decide`, on e-values of all of them, and `decide` beside it."""

from dataclasses import dataclass

import numpy as np

from bench import e_values
from bench.cohort_evidence import NEVER, check, rollout_of
from bench.cohorts import Cohorts, Look
from bench.drawing import Known, World
from bench.e_values import Bools, Floats, Ints, mixed, running, since_start_or_later
from mlops_dagster.rollout import Outcome, RolloutPolicy
from mlops_dagster.rollout.claims.events import CHOSEN
from mlops_dagster.statistics.e_values.excess import OFTEN, WEIGHTS


@dataclass
class States:
    """Of all rollouts; times are in cohorts since the start."""

    policy: RolloutPolicy
    runs: int

    def __post_init__(self) -> None:
        zeros = np.zeros(self.runs, dtype=np.int64)
        self.step, self.step_at = zeros.copy(), zeros.copy()
        self.canary_at, self.promoted_at = np.full(self.runs, NEVER), np.full(self.runs, NEVER)
        self.ended_at = np.full(self.runs, NEVER)
        self.first: dict[Outcome, Ints] = {}
        for outcome in (Outcome.PROMOTE, Outcome.ROLLBACK, Outcome.GIVE_UP):
            self.first[outcome] = np.full(self.runs, NEVER)
        self.labels = zeros.copy()
        """Complete ones at the outcome."""
        self.superior = np.zeros(self.runs, dtype=np.bool_)
        """Promoted as such."""
        self.peaks: dict[str, Floats] = {}

    @property
    def running(self) -> Bools:
        return self.ended_at == NEVER

    @property
    def in_watch(self) -> Bools:
        return self.promoted_at < NEVER

    @property
    def weight(self) -> Floats:
        ramp = np.array([0.0, *self.policy.steps])[self.step]
        return np.where(self.in_watch, 1.0, ramp)

    def peak(self, name: str, e: Floats) -> Floats:
        self.peaks[name] = np.maximum(self.peaks.get(name, np.zeros(self.runs)), e)
        return self.peaks[name]


def roll_out(world: World, runs: int, rng: np.random.Generator, checked: int = 0) -> tuple[States, Known]:
    """Roll out to the deadline, or the end of the last watch; return what became of all, and what was to be known.

    Of the first `checked` rollouts `decide` itself must say the same at many looks.
    """
    cohorts, states, policy = Cohorts(world, runs, rng), States(world.policy, runs), world.policy
    deadline = policy.deadline_hours * 60 / world.minutes
    while states.running.any() or len(cohorts) < deadline:
        cohorts.grow(states.weight)
        look = cohorts.look()
        before = [rollout_of(look, states, run) for run in range(checked)]
        judged = judge(look, states)
        for run, rollout in enumerate(before):
            if rollout is not None and (look.count % 5 == 1 or judged.outcomes[run] is not Outcome.HOLD):
                check(look, rollout, run, judged)
    return states, look.known


@dataclass(frozen=True)
class Judged:
    """The outcome of one look at each rollout."""

    outcomes: list[Outcome]
    rollback_e: Floats


def judge(look: Look, states: States) -> Judged:
    """As `decide` does; changes the states."""
    policy, now = look.policy, look.count
    proof, hours = 1 / policy.alpha, look.world.minutes / 60
    worse, not_worse, superior = look.accuracy()
    events = _Events(look)
    parts = [np.ones(look.of.runs), events.slow_worse, worse, events.over_limit]
    if policy.uses_pairs:
        parts.append(np.where(states.in_watch, look.in_watch(states.promoted_at), 1.0))
    rollback = np.asarray(np.mean(parts, axis=0))
    proven = states.peak("rollback.worse", rollback) >= proof
    metric = "paired" if policy.uses_pairs else "wrong"
    fine = states.peak(f"{metric}.not_worse", not_worse) >= proof
    good_errors, good_slow = (
        events.good(policy.max_error_rate, events.all),
        events.good(policy.max_slow_rate, events.answered),
    )
    for name, e in (("error.not_worse", good_errors), ("slow.not_worse", good_slow)):
        fine = fine & (states.peak(name, e) >= proof)
    doubt = look.doubt
    better = (states.peak(f"{metric}.superior", superior) >= proof) & (superior >= 1) & fine & ~doubt

    last, shadow = states.step == len(policy.steps), states.step == 0
    here = look.known.weight == states.weight[:, None]
    answers = (look.known.canary[0].sum(axis=1) * here).sum(axis=1)
    if policy.uses_pairs:
        labels = look.pairs_since(states.step_at)
    else:
        labels = answers if policy.labels == "complaints" else (look.arms[0][0] * here).sum(axis=1)
    lacking = np.where(
        shadow,
        ((now - states.step_at) * hours < policy.shadow_hours)
        | (look.known.units.sum(axis=1) < policy.min_shadow_requests),
        ((now - states.step_at) * hours < policy.soak_hours)
        | (answers < policy.min_step_requests)
        | (labels < policy.min_step_paired)
        | last & ((now - states.canary_at) * hours < policy.min_canary_hours)
        | last & look.unseen_class(),
    )
    lacking = (
        lacking | doubt | (worse > np.maximum(1.0, not_worse)) | (events.over_limit > np.maximum(1.0, good_errors))
    )
    late = np.full(look.of.runs, now * hours >= policy.deadline_hours)
    trial, watch = states.running & ~states.in_watch & ~proven, states.running & states.in_watch & ~proven
    enough = last & ~lacking
    promote = trial & enough & (better | (late & fine))
    give_up = trial & late & ~promote
    advance = trial & ~late & ~lacking & ~last
    over = watch & ((now - states.promoted_at) * hours >= policy.bake_hours)
    rolled_back = states.running & proven
    outcomes = [Outcome.HOLD] * look.of.runs
    for which, outcome in (
        (promote, Outcome.PROMOTE),
        (give_up, Outcome.GIVE_UP),
        (advance | over, Outcome.ADVANCE),
        (rolled_back, Outcome.ROLLBACK),
    ):
        for run in np.flatnonzero(which):
            outcomes[run] = outcome
        if outcome in states.first:
            states.first[outcome][which] = now
    states.labels[promote | give_up | rolled_back] = look.proofs[promote | give_up | rolled_back]
    states.superior |= promote & better
    states.step[advance] += 1
    states.step_at[advance | promote] = now
    states.canary_at[advance & shadow] = now
    states.promoted_at[promote] = now
    states.ended_at[give_up | rolled_back | over] = now
    return Judged(outcomes, rollback)


class _Events:
    """Of requests none of which fail or are slow."""

    def __init__(self, look: Look) -> None:
        self._look = look
        known, policy = look.known, look.policy
        ramp = known.canary[0].sum(axis=1)
        in_watch = np.where(known.weight == 1, known.units, 0)
        off_path = np.where((known.weight == 0) | policy.uses_pairs, known.units - ramp, 0) * (known.weight < 1)
        self.all: Ints = (ramp + in_watch + off_path).sum(axis=1)
        self.answered: Ints = (ramp + in_watch).sum(axis=1)
        both = known.units if policy.uses_pairs else np.where((known.weight == 0) | (known.weight == 1), known.units, 0)
        self._both = both
        self._scored = both + (0 if policy.uses_pairs else ramp)

    def good(self, enough: float, n: Ints) -> Floats:
        """That bad ones are fewer: relative to the champion nothing is known, and all n are good."""
        return (1 + mixed(e_values.of_rate(n, n, 1 - enough))) / 2

    @property
    def slow_worse(self) -> Floats:
        ones = np.ones(self._look.of.runs)
        return since_start_or_later(lambda _: ones, np.full(self._look.of.runs, self._look.minutes))

    @property
    def over_limit(self) -> Floats:
        """Over the limit, and in the loudest stretch not as good: without failures of anybody, of its bets' weights."""
        size, runs, n = self._look.world.minutes, np.arange(self._look.of.runs), self._scored
        sums = running(e_values.of_rate(np.zeros_like(n), n, self._look.policy.max_error_rate))

        def over(start: Ints) -> Floats:
            first = np.minimum(-(-start // size), self._look.count)
            return mixed(sums[:, runs, -1] - sums[:, runs, first])

        over_limit, start = e_values.mixture_and_loudest(over, np.full(len(runs), self._look.minutes))
        scored = running(self._both)
        pairs = scored[runs, -1] - scored[runs, np.minimum(-(-start // size), self._look.count)]
        sharing = 5 if self._look.policy.uses_pairs else 4
        not_as_good = (WEIGHTS.sum() + OFTEN * (8 / 9) ** pairs) * np.where(start == 0, sharing, CHOSEN)
        return np.minimum(over_limit, not_as_good)
