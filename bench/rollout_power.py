"""What the rollout policy of the flights example can prove on that example's traffic. Seeded; `make bench`.

Challengers of known quality are rolled out again and again, each hour one look by the real `decide`, until it
promotes, gives up or rolls back. Nothing but accuracy differs: no request fails and none is slow. Each label is drawn
on its own; where the flights of a day share a cause, and r are worth one, it takes r times as many.
"""

import argparse
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Final, NamedTuple, TypeAlias

import numpy as np
import yaml
from rich.console import Console
from rich.table import Table

from mlops_dagster.predictions import BothScored, EventCounts, PairedCounts
from mlops_dagster.rollout import (
    EventsSince,
    Evidence,
    Labels,
    LabelsSince,
    Outcome,
    Rollout,
    RolloutPolicy,
    StepCounts,
)
from mlops_dagster.rollout.prospects.prospects import late_starts, roll_out

DEFS: Final = Path(__file__).parents[1] / "examples/flights/flights/defs/model/defs.yaml"
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


def good_at_dawn(at: datetime) -> tuple[float, float]:
    """Wins and losses: 3 points worse over the day, 5 better at 6 o'clock, 11 worse at 18; as much traffic at both."""
    loses = 0.03 - 0.08 * np.sin(at.hour / 24 * 2 * np.pi)
    return (0.12 - loses) / 2, (0.12 + loses) / 2


class _Hour(NamedTuple):
    """What an hour adds."""

    weight: float
    step: int
    canary: int
    champion: int
    both: int
    """Requests that both versions scored."""
    pairs: PairedCounts
    """Of these, once their labels have come."""


class Traffic:
    """One rollout's evidence, growing by the hour."""

    def __init__(self, odds_at: OddsAt, rng: np.random.Generator, per_hour: float = REQUESTS_PER_HOUR) -> None:
        self._odds_at, self._rng, self._per_hour = odds_at, rng, per_hour
        self._hours: list[_Hour] = []

    def hour(self, rollout: Rollout, now: datetime) -> Evidence:
        """All evidence at `now`, after one more hour under the weight of `rollout`."""
        rng, share = self._rng, rollout.policy.paired_share
        requests = int(rng.poisson(self._per_hour * (1 - np.cos(now.hour / 24 * 2 * np.pi))))
        canary = int(rng.binomial(requests, rollout.weight))
        both = int(rng.binomial(requests, share))
        wins, losses = self._odds_at(now)
        pairs = PairedCounts(*rng.multinomial(both, (wins, losses, 1 - wins - losses)).tolist())
        self._hours.append(_Hour(rollout.weight, rollout.step, canary, requests - canary, both, pairs))
        labelled = self._hours[: max(len(self._hours) - LABEL_LAG_HOURS, 0)]
        began = now - timedelta(hours=len(self._hours))
        return Evidence(
            through=now,
            since=tuple(EventsSince(60 * start, *_events(self._hours[start:])) for start in late_starts(self._hours)),
            shadow=EventCounts(requests=sum(each.both for each in self._hours)),
            recent=EventCounts(requests=sum(each.both + each.canary for each in self._hours[-2:])),
            labels=Labels(
                units=sum(each.both for each in self._hours),
                labelled=sum(each.both for each in labelled),
                complete_until=began + timedelta(hours=len(labelled)),
                since=tuple(LabelsSince(60 * start, _outcomes(labelled[start:])) for start in late_starts(labelled)),
                step=sum(each.both for each in labelled if each.step == rollout.step),
                days=_days(labelled, began),
            ),
        )


def _events(hours: Sequence[_Hour]) -> tuple[tuple[StepCounts, ...], BothScored]:
    steps = tuple(
        StepCounts(weight, *(EventCounts(requests=sum(arm)) for arm in zip(*its, strict=True)))
        for weight in sorted({each.weight for each in hours if each.weight})
        for its in [[(each.canary, each.champion) for each in hours if each.weight == weight]]
    )
    return steps, BothScored(requests=sum(each.both for each in hours))


def _outcomes(hours: Sequence[_Hour]) -> dict[str, PairedCounts]:
    return {"": sum((each.pairs for each in hours), PairedCounts())}


def _days(hours: Sequence[_Hour], began: datetime) -> tuple[PairedCounts, ...]:
    by_day: defaultdict[date, PairedCounts] = defaultdict(PairedCounts)
    for number, each in enumerate(hours):
        by_day[(began + timedelta(hours=number)).date()] += each.pairs
    return tuple(by_day.values())


VERBS: Final = {Outcome.PROMOTE: "promoted", Outcome.GIVE_UP: "given up", Outcome.ROLLBACK: "rolled back"}


def rows(policy: RolloutPolicy, name: str, runs: int) -> Iterator[tuple[str, ...]]:
    """One for each outcome seen. Every challenger has the same seed, so that changing one leaves the others alone."""
    odds, rng = CHALLENGERS[name], np.random.default_rng(SEED)
    starts = [MIDNIGHT + timedelta(hours=hour) for hour in rng.integers(24, size=runs).tolist()]
    ends = [roll_out(policy, Traffic(lambda _: odds, rng).hour, start, timedelta(hours=1)) for start in starts]
    what = (name, *(f"{share:.0%}" for share in odds))
    for outcome, verb in VERBS.items():
        if seen := [end for end in ends if end.outcome is outcome]:
            hours, labels = np.median([end.hours for end in seen]), np.median([end.pairs for end in seen])
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
