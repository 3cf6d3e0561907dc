"""Harmless canaries in worlds of requests: how often ours and other tests roll them back."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from rich.table import Table
from scipy.stats import binomtest

from bench.histories import Challenger, World, simulate
from bench.label_worlds import ARMS, PAIRS
from bench.look_evidence import check_with_decide
from bench.looks import by_minute, champion_e, rollback_e
from bench.naive import LOOK_MINUTES, SAMPLE, alarms

SEED: Final = 5
CHECKED: Final = 2
"""Rollouts of each world in which `decide` looks too."""
EVERY: Final = 10
"""Minutes between our looks."""

HARD: Final = World(daily=True, sticky=True, cold=True)
AS_BAD_AS_ALLOWED: Final = Challenger(errors=PAIRS.max_ratio.error, slow=PAIRS.max_ratio.slow, loses=PAIRS.margin)
WORLDS: Final = {
    "nothing special": (World(), Challenger()),
    "a daily cycle": (World(daily=True), Challenger()),
    "sticky Zipf keys": (World(sticky=True), Challenger()),
    "a cold start": (World(cold=True), Challenger()),
    "these three together": (HARD, Challenger()),
    "together, as bad as allowed": (HARD, AS_BAD_AS_ALLOWED),
    "requests of 1, 10, 50, 200 rows": (World(rows=(1, 10, 50, 200)), Challenger()),
    "an outage of 3 minutes": (World(outages=1), Challenger()),
    "20 outages of 3 minutes": (World(outages=20), Challenger()),
    "champion 5 %, challenger 2 %": (World(errors=0.05), Challenger(errors=0.4)),
    "both fail on 1.3 %": (World(errors=0.013), Challenger()),
    "an unknown category": (World(unknown=True), Challenger()),
    "a client repeats a loss": (World(busy=True), Challenger()),
}


def harmless(runs: int, names: Sequence[str]) -> Table:
    table = Table(
        *("the world", "with pairs", "two arms", "alert", "z, errors", "z, any", "Mann-Wh.", "McNemar once", "hourly"),
        title="Harmless canaries rolled back",
    )
    looks = 0
    for name in names:
        looks += _add_world(table, name, *WORLDS[name], runs)
    table.caption = f"""{runs:,} rollouts of each: an hour of shadow, 1, 5, 20 and 50 % for twelve hours each, a day's
watch, some 200,000 requests; no more than {PAIRS.alpha:.0%} may be rolled back (intervals of 95 % in brackets).
Ours look every {EVERY} minutes at all metrics together; `decide` agrees at {looks:,} looks of them.
Alert: the champion breaks its error limit of {PAIRS.max_error_rate:.0%}, and it is said so (with pairs).
The others count rows. z (confidence 95 %) and Mann-Whitney on latencies (98 %) look every {LOOK_MINUTES} minutes,
McNemar's test of the pairs (95 %) once at {SAMPLE:,}, or every hour. They know of no allowance,
so one line asks them nothing."""
    table.caption_justify = "left"
    return table


def _add_world(table: Table, name: str, world: World, challenger: Challenger, runs: int) -> int:
    """Returns at how many looks `decide` was asked too."""
    rng, looks = np.random.default_rng(SEED), 0
    rolled_back = []
    for run in range(runs):
        history, ours = simulate(world, challenger, rng), []
        for policy in (PAIRS, ARMS):
            seen = by_minute(history, pairs=policy.uses_pairs)
            now = np.arange(EVERY - 1, len(seen.weight), EVERY)
            e = rollback_e(policy, seen, now)
            ours.append(bool((e >= 1 / policy.alpha).any()))
            if run < CHECKED:
                looks += check_with_decide(policy, seen, now, e, rng)
            if policy.uses_pairs:
                alert = bool((champion_e(policy, seen, now) >= 1 / policy.alpha).any())
        rolled_back.append([*ours, alert, *alarms(history)])
    counts = np.sum(rolled_back, axis=0).tolist()
    theirs = [f"{count / runs:.0%}" for count in counts[3:]] if challenger != AS_BAD_AS_ALLOWED else [""] * 5
    table.add_row(name, *(share(count, runs) for count in counts[:2]), f"{counts[2] / runs:.0%}", *theirs)
    return looks


def share(count: int, runs: int, digits: int = 1) -> str:
    """Return a share with its binomial interval of 95 %."""
    low, high = binomtest(count, runs).proportion_ci(method="exact")
    return f"{count / runs:.{digits}%} ({100 * low:.{digits}f}-{100 * high:.{digits}f})"
