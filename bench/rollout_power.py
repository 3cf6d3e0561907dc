"""What the rollout policy of the flights example can prove on that example's traffic. Seeded; `make bench`.

Challengers of known quality are rolled out again and again, each hour one look by the real `decide`, until it
promotes, gives up or rolls back. Nothing but accuracy differs: no request fails and none is slow. Each label is drawn
on its own; where the flights of an hour share one cause, the same number of labels is worth less.
"""

import argparse
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
import yaml
from rich.console import Console
from rich.table import Table

from mlops_dagster.rollout import (
    EventCounts,
    Evidence,
    Outcome,
    PairedCounts,
    Phase,
    Rollout,
    RolloutPolicy,
    StepCounts,
    decide,
)

DEFS: Final = Path(__file__).parents[1] / "mlops_dagster/defs/flights_delay/defs.yaml"
REQUESTS_PER_HOUR: Final = 37
"""Mean over a day; the rate rises and falls as a sine, from none to twice as many."""
LABEL_LAG_HOURS: Final = 4
MIDNIGHT: Final = datetime(2013, 3, 1, tzinfo=UTC)
SEED: Final = 5

CHALLENGERS: Final = {
    "2 points better": (0.05, 0.03),
    "1 point better": (0.04, 0.03),
    "same accuracy": (0.03, 0.03),
    "1 point worse": (0.03, 0.04),
    "2 points worse": (0.03, 0.05),
    "3 points worse": (0.03, 0.06),
    "5 points worse": (0.03, 0.08),
    "10 points worse": (0.03, 0.13),
    "wrong units": (0.02, 0.20),
}
"""Shares of the labels where only the challenger is right (it wins), and where only the champion is (it loses)."""


OddsAt: TypeAlias = Callable[[datetime], tuple[float, float]]
"""The shares of wins and losses among the labels of that hour's requests."""


class End(NamedTuple):
    outcome: Outcome
    hours: float
    labels: int
    """Of requests that both versions scored."""


class Traffic:
    """One rollout's evidence, growing by the hour; a pair counts in the hour its label arrives, as in the rollups."""

    def __init__(self, odds_at: OddsAt, rng: np.random.Generator, per_hour: float = REQUESTS_PER_HOUR) -> None:
        self._odds_at, self._rng, self._per_hour = odds_at, rng, per_hour
        self._unlabelled = deque([0] * LABEL_LAG_HOURS)
        self._scored_too = 0
        self._answered: dict[float, npt.NDArray[np.int64]] = {}
        self._pairs: dict[int, npt.NDArray[np.int64]] = {}

    def hour(self, rollout: Rollout, now: datetime) -> Evidence:
        """All evidence at `now`, after one more hour under the weight of `rollout`."""
        step, weight, share = rollout.step, rollout.weight, rollout.policy.paired_share
        requests = self._rng.poisson(self._per_hour * (1 - np.cos(now.hour / 24 * 2 * np.pi)))
        canary = self._rng.binomial(requests, weight)
        scored_too = self._rng.binomial(requests - canary, share)
        self._scored_too += scored_too
        self._unlabelled.append(scored_too + self._rng.binomial(canary, share))
        wins, losses = self._odds_at(now - timedelta(hours=LABEL_LAG_HOURS))
        labels = self._rng.multinomial(self._unlabelled.popleft(), (wins, losses, 1 - wins - losses))
        self._pairs[step] = self._pairs.get(step, 0) + labels
        if weight:
            self._answered[weight] = self._answered.get(weight, 0) + np.array([canary, requests - canary])
        return Evidence(
            steps=tuple(StepCounts(at, *map(EventCounts, arms.tolist())) for at, arms in self._answered.items()),
            paired=PairedCounts(*np.sum(list(self._pairs.values()), axis=0).tolist()),
            shadow=EventCounts(int(self._scored_too)),
            step_paired=PairedCounts(*self._pairs[step].tolist()),
            through=now,
        )


def roll_out(policy: RolloutPolicy, traffic: Traffic, start: datetime) -> End:
    now = start
    rollout = Rollout(
        1, "flights-delay", "1.0.0", "1.0.1", policy, Phase.SHADOW, 0, 0.0, start, None, start, False, {}, epoch=1
    )
    while True:
        now += timedelta(hours=1)
        decision = decide(policy, rollout, traffic.hour(rollout, now), now)
        if decision.outcome is Outcome.ADVANCE:
            step, weight, canary_at = rollout.step + 1, policy.steps[rollout.step], rollout.canary_at or now
            rollout = replace(rollout, phase=Phase.CANARY, step=step, weight=weight, canary_at=canary_at, step_at=now)
        elif decision.outcome is not Outcome.HOLD:
            return End(decision.outcome, (now - start) / timedelta(hours=1), decision.evidence.paired.total)
        rollout = replace(rollout, peaks=decision.peaks)


VERBS: Final = {Outcome.PROMOTE: "promoted", Outcome.GIVE_UP: "given up", Outcome.ROLLBACK: "rolled back"}


def rows(policy: RolloutPolicy, name: str, runs: int) -> Iterator[tuple[str, ...]]:
    """One for each outcome seen. Every challenger has the same seed, so that changing one leaves the others alone."""
    odds, rng = CHALLENGERS[name], np.random.default_rng(SEED)
    starts = [MIDNIGHT + timedelta(hours=hour) for hour in rng.integers(24, size=runs).tolist()]
    ends = [roll_out(policy, Traffic(lambda _: odds, rng), start) for start in starts]
    what = (name, *(f"{share:.0%}" for share in odds))
    for outcome, verb in VERBS.items():
        if seen := [end for end in ends if end.outcome is outcome]:
            hours, labels = np.median([end.hours for end in seen]), np.median([end.labels for end in seen])
            yield *what, verb, str(len(seen)), f"{hours:.0f}", f"{labels:,.0f}"
            what = ("", "", "")


def facts(policy: RolloutPolicy, runs: int) -> str:
    requests, first = REQUESTS_PER_HOUR * policy.deadline_hours, policy.steps[0]
    steps = ", ".join(f"{step:.0%}" for step in policy.steps)
    return f"""{runs} rollouts of each, begun at any hour; hours and labels: medians.
Labels come {LABEL_LAG_HOURS} h late. Both versions score {policy.paired_share:.0%} of the requests.
Steps of {steps}, each {policy.soak_hours:g} h and {policy.min_step_paired} labels at least.
Margin {policy.margin:.0%}; deadline after {policy.deadline_hours:g} h, about {requests:,.0f} requests.
A canary of {first:.0%} answers one request in {1 / (first * REQUESTS_PER_HOUR):.1f} h."""


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="What the flights example's rollout policy can prove.")
    parser.add_argument("--runs", type=int, default=20, help="rollouts of each challenger")
    count = parser.parse_args().runs
    flights = RolloutPolicy.model_validate(yaml.safe_load(DEFS.read_text())["attributes"]["rollout"])
    table = Table(
        *("challenger", "wins", "loses", "outcome", "runs", "hours", "labels"),
        title=f"What {REQUESTS_PER_HOUR} requests an hour can prove",
        caption=facts(flights, count),
        caption_justify="left",
    )
    for each in CHALLENGERS:
        for row in rows(flights, each, count):
            table.add_row(*row)
    Console().print(table)
