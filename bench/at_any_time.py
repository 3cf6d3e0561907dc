"""What the decisions of a rollout are worth, looked at all day (docs/at-any-time.md). Seeded; `make bench`.

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
from scipy.stats import binomtest

from bench.e_values import Bools
from bench.histories import MIDNIGHT, Challenger, World, simulate
from bench.label_worlds import ARMS, CASES, DAY_SPREAD, EVALUATED_DAYS, KNOWN_ROWS, PAIRS, PER_HOUR, Case
from bench.late_starts import HOUR, Fault, accuracy_found, errors_found, slow_found
from bench.looks import by_minute, champion_e, check_with_decide, rollback_e
from bench.naive import LOOK_MINUTES, SAMPLE, alarms
from bench.naive_labels import Verdicts, peers
from bench.proofs import failures_found, labels_to_proof, median_and_p90
from bench.rollout_power import Traffic, good_at_dawn, roll_out
from bench.states import NEVER
from bench.states import roll_out as roll_out_all
from mlops_dagster.rollout import Outcome, RolloutPolicy

SEED: Final = 5
CHECKED: Final = 2
"""Rollouts of each world in which `decide` looks too."""
EVERY: Final = 10
"""Minutes between our looks."""

HARD: Final = World(daily=True, sticky=True, cold=True)
AS_BAD_AS_ALLOWED: Final = Challenger(errors=PAIRS.theta.error, slow=PAIRS.theta.slow, loses=PAIRS.margin)
WORLDS: Final = {
    "nothing special": (World(), Challenger()),
    "a daily cycle": (World(daily=True), Challenger()),
    "sticky Zipf keys": (World(sticky=True), Challenger()),
    "a cold start": (World(cold=True), Challenger()),
    "these three together": (HARD, Challenger()),
    "together, as bad as allowed": (HARD, AS_BAD_AS_ALLOWED),
    "requests of 1, 10, 50, 200 rows": (World(rows=(1, 10, 50, 200)), Challenger()),
    "an outage of 3 minutes": (World(outage=True), Challenger()),
    "champion 5 %, challenger 2 %": (World(errors=0.05), Challenger(errors=0.4)),
    "both fail on 1.3 %": (World(errors=0.013), Challenger()),
    "an unknown category": (World(unknown=True), Challenger()),
    "a client repeats a loss": (World(busy=True), Challenger()),
}
FALSE: Final = {
    "as good": (Outcome.ROLLBACK,),
    "2 points worse": (Outcome.ROLLBACK, Outcome.PROMOTE),
    "4 points worse": (Outcome.PROMOTE,),
    "never finds it": (Outcome.PROMOTE,),
}
"""By the truth, which outcomes are; the margin is 2 points, so 2 points worse is neither proven."""


def harmless(runs: int, wanted: str) -> Table:
    table = Table(
        *("the world", "with pairs", "two arms", "alert", "z, errors", "z, any", "Mann-Wh.", "McNemar once", "hourly"),
        title="Harmless canaries rolled back",
    )
    looks = 0
    for name, (world, challenger) in WORLDS.items():
        if wanted in name:
            looks += _add_world(table, name, world, challenger, runs)
    table.caption = f"""{runs:,} rollouts of each: an hour of shadow, 1, 5, 20 and 50 % for twelve hours each, a day's
watch, some 200,000 requests; no more than {PAIRS.alpha:.0%} may be rolled back (intervals of 95 % in brackets).
Ours look every {EVERY} minutes at all metrics together; `decide` agrees at {looks:,} looks of them. Alert: the champion
breaks its error limit of {PAIRS.max_error_rate:.0%}, and it is said so (with pairs).
The others count rows, and look every {LOOK_MINUTES} minutes: z at a confidence of 95 %, Mann-Whitney on latencies, 98 %;
McNemar on pairs, 95 %, once at {SAMPLE:,}, or every hour. They know of no allowance, so one line asks them nothing."""
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


def labels(runs: int, wanted: str) -> Table:
    table = Table(
        *("the world", "challenger", "rolled back", "promoted", "given up", "hours", "labels", "z", "once", "hourly"),
        title="Outcomes where labels are late, few, rare or share a day's causes",
        caption=f"""{runs:,} rollouts of each, looked at every hour. FALSE (with intervals of 95 %): a rollback of one
that is as good, a promotion of one that is worse by more than the margin of 2 points; of one exactly at it, either.
Hours and labels: median and P90 at the outcome, whichever it is. z (two arms, hourly), McNemar once (at {SAMPLE:,} pairs)
and hourly: their false ones. Shared days: {24 * PER_HOUR:,} pairs a day, of which each is better or worse for the
challenger by {100 * DAY_SPREAD:.0f} points (standard deviation), so that r = {KNOWN_ROWS:.1f} rows are worth one; it is stated by the policy,
estimated from {EVALUATED_DAYS} days before, or left out. `decide` says the same at many looks of the first {CHECKED} rollouts.""",
        caption_justify="left",
    )
    for name, case in CASES.items():
        if wanted in name:
            table.add_row(name, case.truth, *_outcomes(case, runs))
    return table


def _outcomes(case: Case, runs: int) -> Iterator[str]:
    rng = np.random.default_rng(SEED)
    states, known = roll_out_all(case.world, runs, rng, checked=min(CHECKED, runs))
    false, found = FALSE[case.truth], states.first
    ever = {outcome: at < NEVER for outcome, at in found.items()}
    for outcome in (Outcome.ROLLBACK, Outcome.PROMOTE):
        count = int(ever[outcome].sum())
        yield f"FALSE {share(count, runs)}" if outcome in false else f"{count / runs:.1%}"
    yield f"{ever[Outcome.GIVE_UP].mean():.1%}"
    hours = np.min(list(found.values()), axis=0) * case.world.minutes / 60
    yield median_and_p90(hours, 0)
    yield median_and_p90(states.labels.astype(np.float64), 0)
    for verdicts in peers(case.world, known, rng):
        yield f"{_false(verdicts, false).mean():.0%}"


def _false(verdicts: Verdicts, false: tuple[Outcome, ...]) -> Bools:
    nothing = np.zeros_like(verdicts.promoted)
    back = verdicts.rolled_back if Outcome.ROLLBACK in false else nothing
    return back | (verdicts.promoted if Outcome.PROMOTE in false else nothing)


PER_HOUR_OF_DAY: Final = 1000
POLICIES: Final = {
    "the defaults": RolloutPolicy(),
    "an hour a step, watched for two whole days": RolloutPolicy(soak_hours=1),
    "an hour a step, no least watch": RolloutPolicy(soak_hours=1, min_watch_hours=0),
}


def time_of_day(runs: int, _: str) -> Table:
    runs = -(-runs // 25)
    table = Table(
        *("policy", "promoted", "rolled back", "given up"),
        title="A challenger that is 3 points worse, and 5 points better at six in the morning",
        caption=f"""{runs} rollouts begun at each hour of the day, looked at every hour by `decide`;
{PER_HOUR_OF_DAY:,} labelled pairs an hour, four hours late.""",
        caption_justify="left",
    )
    for name, policy in POLICIES.items():
        rng = np.random.default_rng(SEED)
        starts = [MIDNIGHT + timedelta(hours=hour) for hour in range(24)] * runs
        ends = [roll_out(policy, Traffic(good_at_dawn, rng, PER_HOUR_OF_DAY), start).outcome for start in starts]
        outcomes = (Outcome.PROMOTE, Outcome.ROLLBACK, Outcome.GIVE_UP)
        table.add_row(name, *(share(ends.count(outcome), len(ends)) for outcome in outcomes))
    return table


def late_errors(runs: int, _: str) -> Table:
    runs = -(-runs // 4)
    table = Table(
        *("champion fails", "the fault begins", "fails on", "requests/s", "the rule before", "now", "ratio"),
        title="Seconds until a fault is proven by the error limit: median and P90",
        caption=f"""{runs} runs of each; both versions score every request, an E of 100, a look at each failure.
The rule before asked whether all the challenger's failures are over {PAIRS.max_error_rate:.0%}; now also whether
it fails more often than its champion on the same requests. Ratio: of the medians; 1.2 was asked for.""",
        caption_justify="left",
    )
    for base in (0.0, 0.004):
        for hour, when in ((1, "with the canary"), (HOUR, f"in hour {HOUR}")):
            for rate in (0.05, 0.5, 1.0):
                for per_second in (0.2, 2.0, 20.0):
                    rng = np.random.default_rng(SEED)
                    found = np.array([errors_found(Fault(rate, per_second, hour, base), rng) for _ in range(runs)]).T
                    ratio = np.median(found[1]) / np.median(found[0])
                    times = (median_and_p90(each) for each in found)
                    table.add_row(f"{base:.1%}", when, f"{rate:.0%}", f"{per_second:g}", *times, f"{ratio:.2f}")
    return table


def late_others(runs: int, _: str) -> Table:
    runs = -(-runs // 4)
    table = Table(
        *("the fault", "it begins", "hours to a rollback"),
        title="Hours until other faults are proven: median and P90",
        caption=f"""{runs} runs of each, of the whole decision. Accuracy: -10 points at 2 requests/s, each a pair, labels
an hour late, a look every ten minutes. Latency: three times as long at 0.2 requests/s, a look a minute.""",
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


SECTIONS: Final[dict[str, Callable[[int, str], Table]]] = {
    "labels": labels,
    "late errors": late_errors,
    "late accuracy and latency": late_others,
    "time of day": time_of_day,
    "minutes to proof": lambda runs, _: failures_found(-(-runs // 2)),
    "labels to proof": lambda runs, _: labels_to_proof(runs),
}
"""Beside the worlds; by the name that `--world` may have."""


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description="What the decisions of a rollout are worth, looked at all day.")
    parser.add_argument("--runs", type=int, default=500, help="rollouts of each world; some tables take fewer")
    parser.add_argument("--world", default="", help="only worlds and tables with this in their name")
    options = parser.parse_args()
    console = Console(width=140)
    sections = {"requests": harmless} | SECTIONS
    for name, section in sections.items():
        within = {"requests": WORLDS, "labels": CASES}.get(name, {name: None})
        if any(options.world in each for each in within) or options.world == name:
            console.print(section(options.runs, "" if options.world == name else options.world))


if __name__ == "__main__":
    main()
