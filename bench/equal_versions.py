"""Two versions that fail alike, at whatever rates and in whatever outages: how often the error limit takes one out.

That the challenger is not as good as its champion is proven for one stretch of time, which is chosen by what it shows
(docs/decisions/0039). That this does no harm is not proven; it is what this table is for.
"""

import math
from typing import Final, NamedTuple

import numpy as np
from rich.table import Table

from bench.label_worlds import PAIRS
from bench.looks import Arm, Minutes, over_limit_e
from bench.requests_table import SEED, share

DAYS: Final = 7
PER_SECOND: Final = (0.2, 2.0, 20.0)
OUTAGE_MINUTES: Final = 3
SHARE: Final = 0.3
"""Of the runs of the other worlds."""
PROOF: Final = 5 / PAIRS.alpha


class Failing(NamedTuple):
    """How often the two fail, independently of each other but where an outage is shared."""

    champion: float
    challenger: float
    swing: float = 0.0
    """What the rates rise and fall by over a day."""
    outages: int = 0
    fails: float = 0.0
    """The rate of either version in an outage."""
    shared: bool = False
    """In an outage both fail on the same requests, which are all."""


def _outages(count: int, fails: float) -> tuple[str, Failing]:
    return f"{count} outages, {fails:.0%} fail", Failing(0.004, 0.004, outages=count, fails=fails)


WORLDS: Final = {
    **{f"both {rate:.1%}": Failing(rate, rate) for rate in (0.004, 0.013, 0.02, 0.05, 0.2)},
    "champion 5 %, challenger 2 %": Failing(0.05, 0.02),
    "both 0.3 to 3 % over the day": Failing(0.0165, 0.0165, swing=0.0135),
    **dict(_outages(count, fails) for fails in (0.1, 0.5, 1.0) for count in (10, 50)),
    "5 shared outages": Failing(0.004, 0.004, outages=5, shared=True),
}


def simulate(world: Failing, per_second: float, rng: np.random.Generator) -> Minutes:
    """Seven days of requests that both versions score, beginning at any time of the day."""
    minutes = np.arange(DAYS * 24 * 60)
    n = rng.poisson(60 * per_second, len(minutes))
    of_day = np.sin(2 * np.pi * (minutes / (24 * 60) + rng.random()))
    begins = rng.integers(0, len(minutes) - OUTAGE_MINUTES, world.outages)
    in_outage = np.isin(minutes, begins[:, None] + np.arange(OUTAGE_MINUTES))
    apart = in_outage & (not world.shared)
    champion, challenger = (
        np.where(apart, world.fails, rate + world.swing * of_day) for rate in (world.champion, world.challenger)
    )
    failed = rng.binomial(n, challenger)
    both = rng.binomial(failed, champion)
    counts = np.stack([n, failed - both, rng.binomial(n - failed, champion), both])
    if world.shared:
        counts[1:, in_outage] = np.stack([n * 0, n * 0, n])[:, in_outage]
    none = np.zeros_like(n)
    nothing = Arm(none, none, none, none, none)
    return Minutes(np.zeros(len(n)), nothing, nothing, counts, np.stack([none, none, n]))


def equal_versions(runs: int) -> Table:
    """Look every minute."""
    runs = math.ceil(SHARE * runs)
    table = Table(
        *("the world", *(f"{per_second:g} requests/s" for per_second in PER_SECOND)),
        title="Failures of two equal versions: rolled back by the error limit",
        caption=f"""{runs} rollouts of {DAYS} days each, a look every minute; both versions score every
request and fail independently of each other, at the same rate but for one line.
An E of {PROOF:.0f}, the others' taken as 0; no more than {PAIRS.alpha:.0%} may be rolled back (intervals of
95 % in brackets). Outages last {OUTAGE_MINUTES} minutes, and between them 0.4 % fail; in shared ones
both versions fail on every request.""",
        caption_justify="left",
    )
    for name, world in WORLDS.items():
        shares = (share(rolled_back(world, each, runs, np.random.default_rng(SEED)), runs) for each in PER_SECOND)
        table.add_row(name, *shares)
    return table


def rolled_back(world: Failing, per_second: float, runs: int, rng: np.random.Generator) -> int:
    """Return how many of so many rollouts are."""
    now = np.arange(DAYS * 24 * 60)
    seen = (simulate(world, per_second, rng) for _ in range(runs))
    return sum(bool((over_limit_e(PAIRS, each, now) >= PROOF).any()) for each in seen)
