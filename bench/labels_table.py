"""Outcomes in worlds of labels: how often ours and other tests are false, and what that takes."""

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
from rich.table import Table

from bench.cohort_evidence import NEVER
from bench.e_values import Bools
from bench.label_worlds import DAY_SPREAD, EVALUATED_DAYS, KNOWN_ROWS, PER_HOUR, Case
from bench.naive import SAMPLE
from bench.naive_labels import Verdicts, peers
from bench.proofs import median_and_p90
from bench.requests_table import CHECKED, SEED, share
from bench.states import roll_out
from mlops_dagster.rollout import Outcome

FALSE: Final = {
    "as good": (Outcome.ROLLBACK,),
    "2 points worse": (Outcome.ROLLBACK, Outcome.PROMOTE),
    "as good by day": (),
    "4 points worse": (Outcome.PROMOTE,),
    "never finds it": (Outcome.PROMOTE,),
}
"""By the truth, which outcomes are; the margin is 2 points, so 2 points worse is neither proven."""


def labels(runs: int, cases: Sequence[Case]) -> Table:
    titles = ("rolled back", "promoted", "as superior", "given up", "hours", "1,000 labels", "z", "once", "hourly")
    table = Table(
        *("the world", "challenger", *titles),
        title="Outcomes where labels are late, few, rare or share a day's causes",
        caption=f"""{runs:,} rollouts of each, looked at every hour. ! (with intervals of 95 %): false, which is a
rollback of one that is as good, or its promotion as superior, or a promotion of one that is worse by more
than the margin of 2 points; of one exactly at the margin a rollback and a promotion, of one that is as good by
the day but not by the hour neither. Hours and labels: median and P90 at the outcome, whichever it is.
z (two arms, hourly), McNemar once (at {SAMPLE:,} pairs) and hourly: how often they are false.
Shared days: {24 * PER_HOUR:,} pairs a day, which is better or worse for the challenger by {100 * DAY_SPREAD:.0f} points
(standard deviation), so that r = {KNOWN_ROWS:.1f} rows are worth one; r is stated by the policy,
estimated from {EVALUATED_DAYS} days before, or left out.
`decide` says the same at many looks of the first {CHECKED} rollouts.""",
        caption_justify="left",
    )
    for case in cases:
        table.add_row(case.name, case.truth, *_outcomes(case, runs))
    return table


def _outcomes(case: Case, runs: int) -> Iterator[str]:
    rng = np.random.default_rng(SEED)
    states, known = roll_out(case.world, runs, rng, checked=min(CHECKED, runs))
    false, found = FALSE[case.truth], states.first
    ever = {outcome: at < NEVER for outcome, at in found.items()}
    for outcome in (Outcome.ROLLBACK, Outcome.PROMOTE):
        count = int(ever[outcome].sum())
        yield f"! {share(count, runs)}" if outcome in false else f"{count / runs:.1%}"
    superior = int(states.superior.sum())
    yield f"! {share(superior, runs)}" if case.truth == "as good" else f"{superior / runs:.1%}"
    yield f"{ever[Outcome.GIVE_UP].mean():.1%}"
    hours = np.min(list(found.values()), axis=0) * case.world.minutes / 60
    yield median_and_p90(hours, 0)
    yield median_and_p90(states.labels / 1000)
    for verdicts in peers(case.world, known, rng):
        yield f"{false_ones(verdicts, false).mean():.0%}"


def false_ones(verdicts: Verdicts, false: tuple[Outcome, ...]) -> Bools:
    """Return which verdicts are."""
    nothing = np.zeros_like(verdicts.promoted)
    back = verdicts.rolled_back if Outcome.ROLLBACK in false else nothing
    return back | (verdicts.promoted if Outcome.PROMOTE in false else nothing)
