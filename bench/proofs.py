"""How many minutes or labels the tests of a rollout take, each by itself and with one alpha for all."""

from typing import Final

import numpy as np
from rich.table import Table

from bench import e_values
from bench.e_values import Bools, Floats, mixed
from bench.label_worlds import PAIRS as POLICY

SEED: Final = 5
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
a canary of {CANARY:.0%}; looked at every event. Alone: max_ratio 1 and an E of 20.
All metrics: the policy's max_ratio and one alpha for all, the others' e-values
taken as 0; errors have the limit of {POLICY.max_error_rate:.0%} too, and with pairs the
challenger scores every request. The first {POLICY.cold_start} slow answers are
forgiven, except alone.""",
        caption_justify="left",
    )
    for ratio, hours in HORIZON_HOURS.items():
        rng = np.random.default_rng(SEED)
        minutes = np.array([_until_errors(_Events(ratio, hours, rng)) for _ in range(runs)])
        table.add_row(f"errors x{ratio}", *map(median_and_p90, minutes.T))
    rng = np.random.default_rng(SEED)
    minutes = np.array([_until_slow(_Events(5, 2, rng)) for _ in range(runs)])
    table.add_row("slow answers x5", *map(median_and_p90, minutes.T))
    return table


class _Events:
    """Bad events at the first step: of the canary, of the champion, and of either one beside the other."""

    def __init__(self, ratio: float, hours: float, rng: np.random.Generator) -> None:
        shares = (CANARY * ratio, 1 - CANARY, (1 - CANARY) * ratio, CANARY)
        times = [rng.uniform(0, 60 * hours, rng.poisson(hours * 3600 * PER_SECOND * BASE * share)) for share in shares]
        minute = np.concatenate(times)
        order = np.argsort(minute)
        self.minute, whose = minute[order], np.repeat(np.arange(4), [len(each) for each in times])[order]
        self.canary, self.champion, self.beside, self.champion_beside = (whose == each for each in range(4))

    def relative(self, max_ratio: float, forgiven: int = 0) -> Floats:
        canary = self.canary & (np.cumsum(self.canary) > forgiven)
        share = np.full(len(canary), CANARY)
        return mixed(np.cumsum(e_values.of_relative(canary * 1, self.champion * 1, share, max_ratio), axis=1))

    def over_limit(self, bad: Bools, champion: Bools, share: float, chance: float) -> Floats:
        """Of `share` of the requests, which come evenly; of the bets those that begin with the rollout."""
        scored = share * np.diff(self.minute, prepend=0) * 60 * PER_SECOND
        over = _or_later(mixed(np.cumsum(e_values.of_rate(bad * 1, scored, POLICY.max_error_rate), axis=1)))
        end, start = np.arange(len(bad)) + 1, np.zeros(len(bad), dtype=np.int64)
        apart = (bad * 1, champion * 1, np.full(len(bad), chance))
        sharing = 5 if chance == 0.5 else 4  # with pairs one e-value more shares the alpha
        both = np.stack([start + 1, start, start, start])
        return np.minimum(over, sharing * e_values.Failures.of(both, apart).since(start, end))

    def first(self, e: Floats, limit: float) -> float:
        return float(np.append(self.minute, np.inf)[np.append(e >= limit, True).argmax()])


def _until_errors(seen: _Events) -> tuple[float, float, float]:
    relative = seen.relative(POLICY.max_ratio.error)
    two_arms = relative + seen.over_limit(seen.canary, seen.champion, CANARY, CANARY)
    both = (seen.canary | seen.beside, seen.champion | seen.champion_beside)
    with_pairs = relative + seen.over_limit(*both, 1, 0.5)
    return seen.first(seen.relative(1), ALONE), seen.first(two_arms, 4 * ALONE), seen.first(with_pairs, 5 * ALONE)


def _until_slow(seen: _Events) -> tuple[float, float, float]:
    relative = _or_later(seen.relative(POLICY.max_ratio.slow, POLICY.cold_start))
    return seen.first(seen.relative(1), ALONE), seen.first(relative, 4 * ALONE), seen.first(relative, 5 * ALONE)


def _or_later(e: Floats) -> Floats:
    """Half of the weight is that of bets that begin later, nearly all of which have not yet begun."""
    return (e + 1) / 2


def median_and_p90(values: Floats, digits: int = 1) -> str:
    """Return both as text; what was never found counts as later than all."""
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
        caption=f"""{runs} runs of {LABELS:,} labels, looked at every one; rows are independent (where r are worth one,
r times as many). Alone: an E of 20, which is also what a promotion asks for. Rolled back:
with one alpha for all metrics, the others' e-values taken as 0.""",
        caption_justify="left",
    )
    for accuracy, loses, wins, margin, what, reference in CHALLENGERS:
        rng, not_worse = np.random.default_rng(SEED), what.startswith("not")
        runs_of_labels = (_e_of_labels(rng, loses, wins, margin, worse=not not_worse) for _ in range(runs))
        found = np.array([[_first(e >= limit) for limit in (ALONE, 5 * ALONE)] for e in runs_of_labels]).T
        rolled_back = median_and_p90(found[1], 0) if margin and not not_worse else ""
        table.add_row(
            *(accuracy, f"{loses:.1%}", f"{wins:.1%}", what, median_and_p90(found[0], 0), rolled_back, reference)
        )
    return table


def _e_of_labels(rng: np.random.Generator, loses: float, wins: float, margin: float, *, worse: bool) -> Floats:
    u = rng.random(LABELS)
    lost, won = (each.astype(np.int64) for each in (u < loses, u >= 1 - wins))
    return mixed(np.cumsum(e_values.of_difference(won, lost, 1 - lost - won, margin, worse=worse), axis=1))


def _first(found: Bools) -> float:
    """Counted from 1; infinite if there is none."""
    return float(found.argmax()) + 1 if found.any() else np.inf
