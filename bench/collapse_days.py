"""How often the rule of a collapse accuses a champion that is well, and how often it tells a loss within two days.

    .venv/bin/python bench/collapse_days.py

Simulated days share their cause in all hours alike, of which hours tell nothing. The flights are those of the example:
a version fitted on 60 days, with two weeks of evaluation, serves a month (and two) until the next one.
"""

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from concept_days import EVALUATED, WORLDS, YEAR, Rates
from rich.console import Console
from rich.table import Table

from mlops_dagster.monitoring import CollapseVerdict, DayOfAnswers, collapse
from mlops_dagster.monitoring.baseline.card_accuracy import CardAccuracy
from mlops_dagster.monitoring.concept.collapse import DAYS_UNTIL_KNOWN, is_suspected
from mlops_dagster.monitoring.concept.outcomes import Answers
from mlops_dagster.registry.cards import EvaluationSlice

Counts = npt.NDArray[np.int64]

FIRST = date(2013, 3, 1)
PARTS = 6
LOSSES = (0.2, 0.286)
"""Of the accuracy: a fifth, and 0.77 to 0.55."""
WORTH_A_LOOK = 0.85
"""Of two days of more than this share of the card's accuracy no collapse is told; they need no look."""


class Life(NamedTuple):
    """A champion: (wrong, rows) of the evaluation's days, and of each day since and each part of it."""

    known: list[tuple[int, int]]
    wrong: Counts
    rows: Counts

    @property
    def card(self) -> EvaluationSlice:
        wrong, rows = (sum(each) for each in zip(*self.known, strict=True))
        return EvaluationSlice(name="overall", rows=rows, metrics={"accuracy": 1 - wrong / rows})


def days_of(wrong: Counts, rows: Counts) -> dict[date, DayOfAnswers]:
    found = {}
    for number, (k, n) in enumerate(zip(wrong, rows, strict=True)):
        parts = {24 // PARTS * part: Answers(int(n[part]), int(k[part])) for part in range(PARTS) if n[part]}
        found[FIRST + timedelta(days=number)] = DayOfAnswers("1", Answers(int(n.sum()), int(k.sum())), {}, {}, parts)
    return found


def verdict(life: Life, until: int | None = None) -> CollapseVerdict:
    return collapse(life.card, life.known, days_of(life.wrong[:until], life.rows[:until])).verdict


def is_told(life: Life, until: int | None = None) -> bool:
    return verdict(life, until) is CollapseVerdict.COLLAPSED


def is_warned(life: Life, until: int | None = None) -> bool:
    """Told, or suspected: people have an alert either way."""
    return verdict(life, until) in (CollapseVerdict.COLLAPSED, CollapseVerdict.SUSPECTED)


def is_ever_warned(life: Life) -> bool:
    """Whether two days, one after the other, are ever as low as what is suspected."""
    card = CardAccuracy.of(life.card)
    days = [Answers(int(n), int(k)) for n, k in zip(life.rows.sum(axis=1), life.wrong.sum(axis=1), strict=True)]
    return any(is_suspected(card, two) for two in pairwise(days)) or is_ever_told(life)


def is_ever_told(life: Life) -> bool:
    """With a look after each day. Until one is told, a look is of two days and of those known before them."""
    wrong, rows = life.wrong.sum(axis=1), life.rows.sum(axis=1)
    good = 1 - wrong / rows
    least = WORTH_A_LOOK * life.card.metrics["accuracy"]
    for last in range(1, len(good)):
        if max(good[last - 1 : last + 1]) < least:
            older = max(last - 1 - DAYS_UNTIL_KNOWN, 0)
            known = [*life.known, *((int(wrong[day]), int(rows[day])) for day in range(older))]
            two = days_of(life.wrong[last - 1 : last + 1], life.rows[last - 1 : last + 1])
            if collapse(life.card, known, two).verdict is CollapseVerdict.COLLAPSED:
                assert is_told(life, last + 1), "the rule says otherwise of all days"
                return True
    return False


def drawn(rng: np.random.Generator, rates: Rates, evaluated_days: int, rows: int, mean: float, days: int) -> Life:
    each = rows // PARTS
    known = rng.binomial(rows, rates(rng, EVALUATED, (1, evaluated_days))[0])
    wrong = rng.binomial(each, np.repeat(rates(rng, mean, (1, days))[0][:, None], PARTS, axis=1))
    return Life([(int(k), rows) for k in known], wrong, np.full(wrong.shape, each))


def simulated(lives: int) -> Table:
    table = Table(title="Champions accused of a collapse in a year, and losses told within two days")
    for column in ("days", "evaluated", "rows", "as evaluated", "0.90 to 0.72", "0.90 to 0.64"):
        table.add_column(column)
    table.caption = "Of each: accused, and in brackets accused or suspected."
    rng = np.random.default_rng(1)
    for name, rates in WORLDS.items():
        for evaluated_days, rows in ((2, 1000), (14, 300), (14, 1000), (60, 1000)):
            healthy = [drawn(rng, rates, evaluated_days, rows, EVALUATED, YEAR) for _ in range(lives)]
            shown = [f"{_share(is_ever_told, healthy)} ({_share(is_ever_warned, healthy)})"]
            for loss in LOSSES:
                mean = 1 - (1 - loss) * (1 - EVALUATED)
                worse = [drawn(rng, rates, evaluated_days, rows, mean, 2) for _ in range(lives)]
                shown.append(f"{_share(is_told, worse)} ({_share(is_warned, worse)})")
            table.add_row(name, str(evaluated_days), f"{rows:,}", *shown)
    return table


def _share(of: Callable[[Life], bool], lives: Sequence[Life]) -> str:
    return f"{np.mean([of(life) for life in lives]):.1%}"


def served_flights() -> Iterator[tuple[int, Life]]:
    """By months until the next version."""
    import pandas as pd

    from flights import trainer as flights

    known = flights.load_flights()
    known = known[known["label"].notna()]
    columns = list(flights.SCHEMA.names)

    def counted(rows: "pd.DataFrame", said: npt.NDArray[np.str_]) -> tuple[Counts, Counts]:
        day = (rows["event_time"].dt.floor("D") - rows["event_time"].min().floor("D")).dt.days.to_numpy()
        cell = day * PARTS + rows["event_time"].dt.hour.to_numpy() * PARTS // 24
        size = (int(day.max()) + 1) * PARTS
        wrong = np.bincount(cell[said != rows["label"].to_numpy()], minlength=size).reshape(-1, PARTS)
        return wrong, np.bincount(cell, minlength=size).reshape(-1, PARTS)

    for months in (1, 2):
        for month in range(3, 13, months):
            since = datetime(2013, month, 1, tzinfo=UTC)
            until = datetime(2013 + (month + months > 12), (month + months - 1) % 12 + 1, 1, tzinfo=UTC)
            before = known[(known["event_time"] >= since - timedelta(days=60)) & (known["known_at"] <= since)]
            held_out = before["event_time"] >= since - timedelta(days=14)
            judge = flights.estimator().fit(before.loc[~held_out, columns], before.loc[~held_out, "label"])
            wrong, rows = counted(before[held_out], judge.predict(before.loc[held_out, columns]))
            evaluated = [(int(k), int(n)) for k, n in zip(wrong.sum(axis=1), rows.sum(axis=1), strict=True) if n]
            final = flights.estimator().fit(before[columns], before["label"])
            then = known[(known["event_time"] >= since) & (known["event_time"] < until)]
            yield months, Life(evaluated, *counted(then, final.predict(then[columns])))


def of_flights(lives: Sequence[tuple[int, Life]], resampled: int) -> Table:
    table = Table(
        title="The flights: accused as they were, in months of five days in a row drawn anew, and losses told"
    )
    for column in ("a version a", "months", "accused", "drawn anew", "a fifth lost", "0.77 to 0.55"):
        table.add_column(column)
    rng = np.random.default_rng(1)
    for months in (1, 2):
        its = [life for length, life in lives if length == months]
        anew = []
        for life in its:
            for _ in range(resampled):
                starts = rng.integers(0, len(life.wrong) - 4, size=6 * months)
                days = (starts[:, None] + np.arange(5)).ravel()
                anew.append(is_ever_told(life._replace(wrong=life.wrong[days], rows=life.rows[days])))
        told = []
        for loss in LOSSES:
            found = []
            for life in its:
                for start in range(0, len(life.wrong) - 1, 3):
                    lost = rng.binomial(life.rows - life.wrong, loss)
                    lost[:start] = 0
                    worse = life._replace(wrong=life.wrong + lost)
                    found.append((is_told(worse, start + 2), is_warned(worse, start + 2)))
            told.append("{:.0%} ({:.0%})".format(*np.mean(found, axis=0)))
        accused, warned = (sum(ever(life) for life in its) for ever in (is_ever_told, is_ever_warned))
        share = f"{np.mean(anew):.1%} of {len(anew)}"
        name = "month" if months == 1 else "two months"
        table.add_row(name, str(months * len(its)), f"{accused} ({warned})", share, *told)
    return table


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lives", type=int, default=200)
    parser.add_argument("--anew", type=int, default=100, help="months drawn anew of each version of the flights")
    asked = parser.parse_args(argv)
    console = Console(width=120)
    console.print(simulated(asked.lives))
    console.print(of_flights(list(served_flights()), asked.anew))
    return 0


if __name__ == "__main__":
    sys.exit(main())
