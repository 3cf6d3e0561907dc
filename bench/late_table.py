"""How soon faults are proven that begin late, beside the rule before."""

from typing import Final

import numpy as np
from rich.table import Table

from bench.label_worlds import PAIRS
from bench.late_starts import HOUR, Fault, accuracy_found, errors_found, slow_found
from bench.proofs import median_and_p90
from bench.requests_table import SEED

FEWER: Final = 4
"""Times fewer runs than of the worlds."""


def late_errors(runs: int) -> Table:
    runs = -(-runs // FEWER)
    table = Table(
        *("champion fails", "the fault begins", "fails on", "requests/s", "the rule before", "now", "ratio"),
        title="Seconds until a fault is proven by the error limit: median and P90",
        caption=f"""{runs} runs of each; both versions score every request, an E of 100, a look at each failure.
The rule before asked whether all the challenger's failures are over {PAIRS.max_error_rate:.0%}; now also whether
it fails more often than its champion on the same requests. Ratio: of the medians; 1.2 was asked for.""",
        caption_justify="left",
    )
    for base in (0.0, 0.004):
        for hour, when in ((0, "with the rollout"), (1, "with the canary"), (HOUR, f"in hour {HOUR}")):
            for rate in (0.05, 0.5, 1.0):
                for per_second in (0.2, 2.0, 20.0):
                    rng = np.random.default_rng(SEED)
                    found = np.array([errors_found(Fault(rate, per_second, hour, base), rng) for _ in range(runs)]).T
                    ratio = np.median(found[1]) / np.median(found[0])
                    times = (median_and_p90(each) for each in found)
                    table.add_row(f"{base:.1%}", when, f"{rate:.0%}", f"{per_second:g}", *times, f"{ratio:.2f}")
    return table


def late_others(runs: int) -> Table:
    runs = -(-runs // FEWER)
    table = Table(
        *("the fault", "it begins", "hours to a rollback"),
        title="Hours until other faults are proven: median and P90",
        caption=f"""{runs} runs of each, of the whole decision.
Accuracy: 2 requests/s, each a pair; labels an hour late;
a look every ten minutes. Latency: 0.2 requests/s; a look
a minute.""",
        caption_justify="left",
    )
    for hour in (4, HOUR):
        rng = np.random.default_rng(SEED)
        found = accuracy_found(2, hour, runs, rng, checked=1)
        table.add_row("accuracy -10 points", f"in hour {hour}", median_and_p90(found))
    rng = np.random.default_rng(SEED)
    found = np.array([slow_found(0.2, 3, rng) for _ in range(runs)])
    table.add_row("latency x3", f"in hour {HOUR}", median_and_p90(found))
    return table
