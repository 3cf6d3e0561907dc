"""What the decisions of a rollout are worth, looked at all day (docs/benchmarks/at-any-time.md). Seeded; `make bench`.

    python -m bench.at_any_time [--runs 500] [--world NAME]

False rollbacks and false promotions in worlds of requests and of labels, beside those of tests that may be looked at
once; and how soon what is bad is proven.
"""

import argparse
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Final

import numpy as np
from rich.console import Console
from rich.table import Table

from bench.equal_versions import equal_versions
from bench.histories import MIDNIGHT
from bench.label_worlds import CASES
from bench.labels_table import labels
from bench.late_table import late_errors, late_others
from bench.proofs import failures_found, labels_to_proof
from bench.requests_table import SEED, WORLDS, harmless, share
from bench.rollout_power import Traffic, good_at_dawn
from mlops_dagster.rollout import Outcome, RolloutPolicy
from mlops_dagster.rollout.prospects.prospects import roll_out

PER_HOUR_OF_DAY: Final = 1000
POLICIES: Final = {
    "the defaults": RolloutPolicy(),
    "an hour a step, watched for two whole days": RolloutPolicy(soak_hours=1),
    "an hour a step, no least watch": RolloutPolicy(soak_hours=1, min_canary_hours=0),
}


def time_of_day(runs: int) -> Table:
    runs = -(-runs // 25)
    table = Table(
        *("policy", "promoted", "rolled back", "given up"),
        title="A challenger that is 3 points worse, and 5 points better at six in the morning",
        caption=f"""{runs} rollouts begun at each hour of the day, looked at every hour by `decide`;
{PER_HOUR_OF_DAY:,} labelled pairs an hour, four hours late.""",
        caption_justify="left",
    )
    hour = timedelta(hours=1)
    for name, policy in POLICIES.items():
        rng = np.random.default_rng(SEED)
        starts = [MIDNIGHT + timedelta(hours=hour) for hour in range(24)] * runs
        worlds = [Traffic(good_at_dawn, rng, PER_HOUR_OF_DAY) for _ in starts]
        ends = [roll_out(policy, world.hour, start, hour).outcome for world, start in zip(worlds, starts, strict=True)]
        outcomes = (Outcome.PROMOTE, Outcome.ROLLBACK, Outcome.GIVE_UP)
        table.add_row(name, *(share(ends.count(outcome), len(ends)) for outcome in outcomes))
    return table


OTHERS: Final[dict[str, Callable[[int], Table]]] = {
    "equal versions": equal_versions,
    "late errors": late_errors,
    "late accuracy and latency": late_others,
    "time of day": time_of_day,
    "minutes to proof": lambda runs: failures_found(-(-runs // 2)),
    "labels to proof": labels_to_proof,
}
"""Tables beside those of the worlds, by the name that `--world` may have."""


def tables(runs: int, wanted: str) -> Iterator[Table]:
    """Make all tables, or those with `wanted` in the name of a world or a table."""
    if worlds := [name for name in WORLDS if wanted in name]:
        yield harmless(runs, worlds)
    if cases := [case for case in CASES if wanted in case.name]:
        yield labels(runs, cases)
    for name, other in OTHERS.items():
        if wanted in name:
            yield other(runs)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description="What the decisions of a rollout are worth, looked at all day.")
    parser.add_argument("--runs", type=int, default=500, help="rollouts of each world; some tables take fewer")
    parser.add_argument("--world", default="", help="only worlds and tables with this in their name")
    options = parser.parse_args()
    console = Console(width=180)
    for table in tables(options.runs, options.world):
        console.print(table)


if __name__ == "__main__":
    main()
