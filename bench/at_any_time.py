"""What the decisions of a rollout are worth, looked at all day (docs/at-any-time.md). Seeded; `make bench`.

False rollbacks of harmless canaries beside those of two tests that may be looked at once; a challenger that is good at
one time of day; and how soon what is bad is proven.
"""

import argparse
from datetime import timedelta
from typing import Final

import numpy as np
from histories import (
    MIDNIGHT,
    Bools,
    Challenger,
    Floats,
    World,
    check_with_decide,
    good_at_dawn,
    mixed,
    paired_e,
    rising_e,
    simulate,
)
from naive import LOOK_MINUTES, alarms
from rich.console import Console
from rich.table import Table
from rollout_power import Traffic, roll_out
from scipy.stats import binomtest

from mlops_dagster.rollout import Outcome, RolloutPolicy
from mlops_dagster.statistics.bad_event import WORSE
from mlops_dagster.statistics.rate import ODDS_RATIOS

SEED: Final = 5
POLICY: Final = RolloutPolicy(soak_hours=12)
ARMS: Final = RolloutPolicy(soak_hours=12, paired=False)

WORLDS: Final = {
    "nothing special": World(),
    "a daily cycle": World(daily=True),
    "sticky Zipf keys": World(sticky=True),
    "a cold start": World(cold=True),
    "all of it": World(daily=True, sticky=True, cold=True),
}
AS_BAD_AS_ALLOWED: Final = Challenger(errors=POLICY.theta.error, slow=POLICY.theta.slow, loses=POLICY.margin)
CHECKED: Final = 2
"""Histories of each world in which `decide` looks too."""


def harmless(runs: int) -> Table:
    table = Table(
        *("the world", "with pairs", "two arms", "z, errors", "z, any metric", "Mann-Whitney"),
        title="Harmless canaries rolled back",
    )
    looks = 0
    for name, world in WORLDS.items():
        looks += _add_world(table, name, world, Challenger(), runs)
    looks += _add_world(table, "all of it, as bad as allowed", WORLDS["all of it"], AS_BAD_AS_ALLOWED, runs)
    table.caption = f"""{runs:,} rollouts of each: an hour of shadow, 1, 5, 20 and 50 % for twelve hours each, a day's
watch, some 200,000 requests; no more than {POLICY.alpha:.0%} may be rolled back (intervals of 95 % in brackets).
Ours look after every event at all metrics together; `decide` agrees at {looks:,} looks of them.
The others start anew at each step and look every {LOOK_MINUTES} minutes: z at a confidence of 95 %,
Mann-Whitney on latencies, 98 %. They know of no allowance, so the last line asks them nothing."""
    table.caption_justify = "left"
    return table


def _add_world(table: Table, name: str, world: World, challenger: Challenger, runs: int) -> int:
    """Returns at how many looks `decide` was asked too."""
    rng, looks = np.random.default_rng(SEED), 0
    rolled_back = []
    for run in range(runs):
        history = simulate(world, challenger, rng)
        found = {policy: rising_e(policy, history) for policy in (POLICY, ARMS)}
        if run < CHECKED:
            looks += sum(check_with_decide(policy, history, *of, rng) for policy, of in found.items())
        ours = [bool((e >= 1 / policy.alpha).any()) for policy, (_, e) in found.items()]
        rolled_back.append([*ours, *alarms(history)])
    counts = np.sum(rolled_back, axis=0).tolist()
    theirs = [_share(count, runs, 0) for count in counts[2:]] if challenger == Challenger() else [""] * 3
    table.add_row(name, *(_share(count, runs) for count in counts[:2]), *theirs)
    return looks


def _share(count: int, runs: int, digits: int = 1) -> str:
    low, high = binomtest(count, runs).proportion_ci(method="exact")
    return f"{count / runs:.{digits}%} ({100 * low:.{digits}f}-{100 * high:.{digits}f})"


PER_HOUR: Final = 1000
POLICIES: Final = {
    "the defaults": RolloutPolicy(),
    "an hour a step, watched for two whole days": RolloutPolicy(soak_hours=1),
    "an hour a step, no least watch": RolloutPolicy(soak_hours=1, min_watch_hours=0),
}


def time_of_day(runs: int) -> Table:
    table = Table(
        *("policy", "promoted", "rolled back", "given up"),
        title="A challenger that is 3 points worse, and 5 points better at six in the morning",
        caption=f"""{runs} rollouts begun at each hour of the day, looked at every hour by `decide`;
{PER_HOUR:,} labelled pairs an hour, four hours late.""",
        caption_justify="left",
    )
    for name, policy in POLICIES.items():
        rng = np.random.default_rng(SEED)
        starts = [MIDNIGHT + timedelta(hours=hour) for hour in range(24)] * runs
        ends = [roll_out(policy, Traffic(good_at_dawn, rng, PER_HOUR), start).outcome for start in starts]
        outcomes = (Outcome.PROMOTE, Outcome.ROLLBACK, Outcome.GIVE_UP)
        table.add_row(name, *(_share(ends.count(outcome), len(ends)) for outcome in outcomes))
    return table


PER_SECOND: Final = 200
CANARY: Final = 0.01
BASE: Final = 0.005
ALONE: Final = 1 / POLICY.alpha
"""The e-value that proves, where one test has the alpha for itself; four share it in two arms, five with pairs."""
HORIZON_HOURS: Final = {2: 4.0, 3: 1.0, 5: 0.5}
"""By when nearly all is proven, and a few hours of events are much to draw."""


def failures_found(runs: int) -> Table:
    table = Table(
        *("bad events", "the test alone", "two arms, all metrics", "with pairs, all metrics"),
        title="Minutes to proof: median and P90",
        caption=f"""{runs} runs; {PER_SECOND} requests/s, of which {BASE:.1%} fail and as many are slow;
a canary of {CANARY:.0%}; looked at every event. Alone: theta 1 and an E of 20.
All metrics: the policy's theta and one alpha for all, the others' e-values
taken as 0; errors have the limit of {POLICY.max_error_rate:.0%} too, and with pairs the
challenger scores every request. The first {POLICY.cold_start} slow answers are
forgiven, except alone.""",
        caption_justify="left",
    )
    for ratio, hours in HORIZON_HOURS.items():
        rng = np.random.default_rng(SEED)
        minutes = np.array([_until_errors(_Events(ratio, hours, rng)) for _ in range(runs)])
        table.add_row(f"errors x{ratio}", *map(_median_and_p90, minutes.T))
    rng = np.random.default_rng(SEED)
    minutes = np.array([_until_slow(_Events(5, 2, rng)) for _ in range(runs)])
    table.add_row("slow answers x5", *map(_median_and_p90, minutes.T))
    return table


class _Events:
    """Bad events at the first step: the canary's, the champion's, and the challenger's beside the champion's."""

    def __init__(self, ratio: float, hours: float, rng: np.random.Generator) -> None:
        shares = (CANARY * ratio, 1 - CANARY, (1 - CANARY) * ratio)
        times = [rng.uniform(0, 60 * hours, rng.poisson(hours * 3600 * PER_SECOND * BASE * share)) for share in shares]
        minute = np.concatenate(times)
        order = np.argsort(minute)
        self.minute, whose = minute[order], np.repeat([0, 1, 2], [len(each) for each in times])[order]
        self.canary, self.champion, self.beside = (whose == each for each in range(3))

    def relative(self, theta: float, forgiven: int = 0) -> Floats:
        bet, q0 = WORSE[:, None], CANARY * theta / (1 - CANARY + CANARY * theta)
        canary = self.canary & (np.cumsum(self.canary) > forgiven)
        gained = canary * np.log(bet) - (canary | self.champion) * np.log1p(q0 * (bet - 1))
        return mixed(np.cumsum(gained, axis=1))

    def over_limit(self, bad: Bools, share: float) -> Floats:
        """Of `share` of the requests, which come evenly, from the start on, which has half of the bets."""
        bet, scored = ODDS_RATIOS[:, None], share * self.minute * 60 * PER_SECOND
        return mixed(np.cumsum(bad) * np.log(bet) - scored * np.log1p(POLICY.max_error_rate * (bet - 1))) / 2

    def first(self, e: Floats, limit: float) -> float:
        return float(np.append(self.minute, np.inf)[np.append(e >= limit, True).argmax()])


def _until_errors(seen: _Events) -> tuple[float, float, float]:
    relative = seen.relative(POLICY.theta.error)
    two_arms = relative + seen.over_limit(seen.canary, CANARY)
    with_pairs = relative + seen.over_limit(seen.canary | seen.beside, 1)
    return seen.first(seen.relative(1), ALONE), seen.first(two_arms, 4 * ALONE), seen.first(with_pairs, 5 * ALONE)


def _until_slow(seen: _Events) -> tuple[float, float, float]:
    relative = seen.relative(POLICY.theta.slow, POLICY.cold_start)
    return seen.first(seen.relative(1), ALONE), seen.first(relative, 4 * ALONE), seen.first(relative, 5 * ALONE)


def _median_and_p90(values: Floats, digits: int = 1) -> str:
    quantiles = (np.quantile(values, q, method="inverted_cdf") for q in (0.5, 0.9))
    return " / ".join(f"{value:,.{digits}f}" if value < np.inf else "never" for value in quantiles)


CHALLENGERS: Final = (
    # accuracy, loses, wins, margin, what is to be proven, and the median it was designed for
    (".93", 0.03, 0.03, 0.02, "not worse by 2 points", "1,050"),
    (".93", 0.10, 0.10, 0.02, "not worse by 2 points", "3,000"),
    (".91", 0.04, 0.02, 0.0, "worse", "950"),
    (".91", 0.04, 0.02, 0.02, "worse by over 2 points", "never"),
    (".90", 0.06, 0.03, 0.02, "worse by over 2 points", ""),
    (".88", 0.055, 0.005, 0.02, "worse by over 2 points", "750"),
    (".88", 0.08, 0.03, 0.02, "worse by over 2 points", ""),
)
LABELS: Final = 10_000


def labels_to_proof(runs: int) -> Table:
    table = Table(
        *("challenger", "loses", "wins", "proven", "alone", "rolled back", "reference"),
        title="Paired labels to proof, where the champion's accuracy is .93: median and P90",
        caption=f"{runs} runs of {LABELS:,} labels, looked at every one. Alone: an E of 20, which is also what a\n"
        "promotion asks for. Rolled back: with one alpha for all metrics, the others' e-values taken as 0.",
        caption_justify="left",
    )
    for accuracy, loses, wins, margin, what, reference in CHALLENGERS:
        rng, not_worse = np.random.default_rng(SEED), what.startswith("not")
        runs_of_labels = (_e_of_labels(rng, loses, wins, margin, not_worse=not_worse) for _ in range(runs))
        found = np.array([[_first(e >= limit) for limit in (ALONE, 5 * ALONE)] for e in runs_of_labels]).T
        rolled_back = _median_and_p90(found[1], 0) if margin and not not_worse else ""
        table.add_row(
            *(accuracy, f"{loses:.1%}", f"{wins:.1%}", what, _median_and_p90(found[0], 0), rolled_back, reference)
        )
    return table


def _e_of_labels(rng: np.random.Generator, loses: float, wins: float, margin: float, *, not_worse: bool) -> Floats:
    u = rng.random(LABELS)
    lost, won = (np.cumsum(each, dtype=np.int64) for each in (u < loses, u >= 1 - wins))
    return paired_e(lost, won, np.arange(1, LABELS + 1) - lost - won, margin, not_worse=not_worse)


def _first(found: Bools) -> float:
    """Counted from 1; infinite if there is none."""
    return float(found.argmax()) + 1 if found.any() else np.inf


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="What the decisions of a rollout are worth, looked at all day.")
    parser.add_argument("--runs", type=int, default=500, help="rollouts of each world; the other tables take fewer")
    count = parser.parse_args().runs
    console = Console(width=120)
    console.print(harmless(count))
    console.print(time_of_day(-(-count // 25)))
    console.print(failures_found(-(-count // 2)))
    console.print(labels_to_proof(count))
