"""What paired evidence is worth where all rows of a day share its weather: false claims, and the price of none.

    .venv/bin/python bench/shared_days.py

Real flights, real versions; only the truth is made (bench/flight_pairs.py). `paired_e_value` is computed for all
replays at once, and held against the function itself. Seeded; docs/benchmarks/shared-days.md says what it means.
"""

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
from flight_pairs import DAYS, LOOKS, Pair, World, days_as_they_were, pairs, random_days, worse_by
from rich.console import Console
from rich.table import Table

from mlops_dagster.statistics import difference_design_effect, paired_e_value
from mlops_dagster.statistics.e_values.combination import Alternative
from mlops_dagster.statistics.e_values.difference import FRACTIONS

Floats = npt.NDArray[np.float64]
MARGIN, EVALUATED, SEED = 0.02, 28, 17
MORE_BETS: Final = np.array([*FRACTIONS, 0.8, 0.95])


class Claim(NamedTuple):
    margin: float
    alternative: Alternative
    limit: float


SUPERIOR = Claim(0.0, "not_worse", 20)
NOT_WORSE = Claim(MARGIN, "not_worse", 20)
ROLLBACK = Claim(MARGIN, "worse", 100)  # five metrics share an alpha of 5 %

ROWS: Final = "as they come", "r known", "r of 7 days", "r of 14 days", "r of 28 days"
EFFECTS: Final = {
    "5 points worse once served: rollback": (0.05, ROLLBACK, True),
    "10 points worse once served: rollback": (0.10, ROLLBACK, True),
    "5 points worse: rollback": (0.05, ROLLBACK, False),
    "10 points worse: rollback": (0.10, ROLLBACK, False),
    "2 points better: superior": (-0.02, SUPERIOR, False),
    "as good: not worse": (0.0, NOT_WORSE, False),
}
"""Points that the challenger loses, the claim, and whether it was as good while it was evaluated."""


def rows_per_observation(world: World, before: int, confidence: float = 0.8, *, many: bool = True) -> Floats:
    """Of each replay, from the last days `before` it is judged."""
    blocks = world.counts.sum(axis=2)[:, EVALUATED - before : EVALUATED]
    found = [difference_design_effect(each, confidence=confidence) for each in blocks.tolist()]
    return np.array([(each.of_many_blocks if many else each.rows) if each else np.nan for each in found])


def known(world: World) -> Floats:
    """Of each replay, from the very days that it is judged on."""
    blocks = world.counts.sum(axis=2)[:, EVALUATED:]
    found = [difference_design_effect(each, confidence=0.5) for each in blocks.tolist()]
    return np.array([each.rows if each else np.nan for each in found])


def ways(world: World) -> Iterator[Floats]:
    """The rows that count as one, as the columns have them."""
    yield np.ones(len(world.counts))
    yield known(world)
    for before in (7, 14, 28):
        yield rows_per_observation(world, before)


def first_proof(world: World, r: Floats, claim: Claim, bets: Floats = FRACTIONS) -> Floats:
    """The labels of each replay until the claim is made, at any look after the evaluation; inf for never."""
    replays, d = len(r), claim.margin
    counts = np.cumsum(world.counts[:, EVALUATED:].reshape(replays, -1, 3), axis=1)
    nu = bets / (1 + d) if claim.alternative == "worse" else -bets / (1 - d)
    factors = np.stack([np.log1p(-nu * (1 + d)), np.log1p(nu * (1 - d)), np.log1p(-nu * d)])
    log_e = counts @ factors / r[:, None, None]
    most = log_e.max(axis=-1)
    log_e = most + np.log(np.exp(log_e - most[..., None]).mean(axis=-1))
    if bets is FRACTIONS:
        wins, losses, ties = (counts[0, 40] / r[0]).tolist()
        its = paired_e_value(wins, losses, ties, margin=d, alternative=claim.alternative)
        assert np.isclose(np.log(its), log_e[0, 40]), (its, log_e[0, 40])
    proven = log_e >= np.log(claim.limit)
    labels = counts.sum(axis=-1)[np.arange(replays), proven.argmax(axis=1)]
    return np.where(proven.any(axis=1), labels, np.inf)


def share(world: World, r: Floats, claim: Claim) -> float:
    return float(np.isfinite(first_proof(world, r, claim)).mean())


def price(world: World, r: Floats, claim: Claim, bets: Floats = FRACTIONS) -> str:
    """Labels and days to proof, medians."""
    labels = float(np.median(first_proof(world, r, claim, bets)))
    per_day = world.counts.sum() / len(r) / DAYS
    return f"{labels:,.0f} / {labels / per_day:.1f} d" if np.isfinite(labels) else f"over {DAYS - EVALUATED} d"


def false_claims(data: Mapping[str, Pair], replays: int) -> Table:
    table = Table("challenger", "the truth and the false claim", *ROWS, title="False claims; the promise is 5 %")
    for name, pair in data.items():
        rng = np.random.default_rng(SEED)
        equal = random_days(rng, pair, replays)
        worse = worse_by(rng, equal, MARGIN)
        asked = {
            "as good: superior": (equal, SUPERIOR),
            "as good: rollback": (equal, ROLLBACK),
            "2 points worse: not worse": (worse, NOT_WORSE),
            "2 points worse: rollback": (worse, ROLLBACK),
        }
        for row, (what, (world, claim)) in enumerate(asked.items()):
            table.add_row("" if row else name, what, *(f"{share(world, r, claim):.1%}" for r in ways(world)))
        table.add_row("", "median r", *(f"{np.median(r):.1f}" for r in ways(equal)), end_section=True)
    return table


BOUNDS: Final = ((0.5, False), (0.6, True), (0.75, False), (0.75, True), (0.8, True), (0.9, True))


def bounds(data: Mapping[str, Pair], replays: int) -> Table:
    """Of the challenger for which it is most, at each: false superior, and false "worse" at its limit of 100."""
    table = Table("confidence", "lasting", "days", "random order", "own order", "r / r known", title="Which bound")
    drawn, own = (
        [world(np.random.default_rng(SEED), pair, replays) for pair in data.values()]
        for world in (random_days, days_as_they_were)
    )
    truth = [np.median(known(world)) for world in drawn]
    for confidence, many in BOUNDS:
        for before in (7, 14, 28):
            cells = []
            for worlds in (own, drawn):
                rs = [rows_per_observation(world, before, confidence, many=many) for world in worlds]
                worst = [
                    max(share(world, r, claim) for world, r in zip(worlds, rs, strict=True))
                    for claim in (SUPERIOR, Claim(0.0, "worse", 100))
                ]
                cells.insert(0, " / ".join(f"{each:.1%}" for each in worst))
            dearer = np.mean([np.median(r) / true for r, true in zip(rs, truth, strict=True)])
            named = (f"{confidence:.0%}", "yes" if many else "no") if before == 7 else ("", "")
            table.add_row(*named, str(before), *cells, f"{dearer:.2f}", end_section=before == 28)
    return table


def prices(data: Mapping[str, Pair], replays: int) -> Table:
    table = Table("challenger", "the truth and the claim", *ROWS, title="Labels and days to proof, medians")
    for name, what, world, claim in effects(data, replays):
        table.add_row(name, what, *(price(world, r, claim) for r in ways(world)))
    return table


def more_bets(data: Mapping[str, Pair], replays: int) -> Table:
    table = Table("challenger", "the truth and the claim", "5 bets", "and 0.8, 0.95", title="More bets, r of 14 days")
    for name, what, world, claim in effects(data, replays):
        r = rows_per_observation(world, 14)
        table.add_row(name, what, price(world, r, claim), price(world, r, claim, MORE_BETS))
    return table


def effects(data: Mapping[str, Pair], replays: int) -> Iterator[tuple[str, str, World, Claim]]:
    for name in ("too few trees", "3 minutes late", "a twin"):
        for row, (what, (points, claim, once_served)) in enumerate(EFFECTS.items()):
            rng = np.random.default_rng(SEED)
            equal = random_days(rng, data[name], replays)
            world = worse_by(rng, equal, points) if points else equal
            if once_served:
                world.counts[:, :EVALUATED] = equal.counts[:, :EVALUATED]
            yield "" if row else name, what, world, claim


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--replays", type=int, default=400, help="replays of each cell")
    replays = parser.parse_args(argv).replays
    console = Console(width=150)
    data = pairs()
    watched = f"{EVALUATED} before, {DAYS - EVALUATED} with {LOOKS} looks each"
    facts = f"margin {MARGIN:.0%}, limits 20 and, of a rollback, 100"
    console.print(f"{replays} replays of {DAYS} days, {watched}; {facts}.")
    tables: tuple[Callable[[Mapping[str, Pair], int], Table], ...] = (false_claims, bounds, prices, more_bets)
    for table in tables:
        console.print(table(data, replays))
    return 0


if __name__ == "__main__":
    sys.exit(main())
