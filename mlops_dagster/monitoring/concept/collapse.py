"""The collapse rule: detects within two days that the champion has lost a fifth of the accuracy on its card.

The test of concept drift needs an evaluation of several days to know how days differ, and several days of proof. This
rule needs two consecutive days, and little of the evaluation: its accuracy and, as far as known, its days. The champion
has collapsed if all of these hold:

- On each of the two days, a fifth of the accuracy is lost, or such a loss is not excluded.
- The loss is not due to chance: the accuracy of both days is under 0.9 of the card's, and under the lower bound of the
  card's, with 99 % certainty. The dependence between rows is measured by how blocks of four hours differ. A storm
  leaves some hours good, so its hours differ and prove little; a collapsed champion is bad all day.
- No known day was as bad: on both days, the error rate exceeds the card's by a quarter more than it did on the worst
  day of the evaluation and of the days since the promotion that are over a week old.

The rule is not an e-value and spends no alpha. Its measured error rate: docs/decisions/0035-a-collapse-is-told-of.md.

Where not all of this holds, a collapse is suspected if neither day is healthy and both together have at most 0.85 of
the card's accuracy. A suspected collapse is reported as a warning and starts nothing: the two days may be unusual ones.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Final

from mlops_dagster.monitoring.baseline.card_accuracy import (
    BLOCK_HOURS,
    FEWEST_ROWS,
    LEFT,
    SURE,
    CardAccuracy,
    unlike_any,
)
from mlops_dagster.monitoring.concept.outcomes import Answers, DayOfAnswers
from mlops_dagster.registry.cards import EvaluationSlice
from mlops_dagster.statistics import BlockRate, block_rate

SURE_OF_A_DAY: Final = 0.1
"""The probability that chance alone may put the accuracy of one of the two days below the healthy limit."""
NOISE: Final = 2.5
"""The number of standard errors by which a day that has lost a fifth may look better than that."""
DAYS_UNTIL_KNOWN: Final = 7
SUSPECTED_LEFT: Final = 0.85
"""Two unhealthy days with at most this share of the card's accuracy are reported, whether the loss is proven or not."""


class CollapseVerdict(StrEnum):
    COLLAPSED = "collapsed"
    SUSPECTED = "suspected"
    HOLDS = "holds"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True, slots=True)
class Collapse:
    """The verdict of the collapse rule after the last day, with its reason and numbers."""

    verdict: CollapseVerdict
    reason: str
    accuracy: float | None = None
    """The accuracy of the two days that were judged."""
    rows: int = 0
    evaluated: float | None = None
    since: date | None = None
    """While a collapse lasts, the first of the two days that proved it."""

    def numbers(self) -> dict[str, object]:
        """Return the measured numbers, as JSON can hold them."""
        return {
            "accuracy": self.accuracy,
            "rows": self.rows,
            "evaluated_accuracy": self.evaluated,
            "since": None if self.since is None else self.since.isoformat(),
        }


def collapse(
    evaluation: EvaluationSlice | None, known: Sequence[tuple[int, int]], days: Mapping[date, DayOfAnswers]
) -> Collapse:
    """Return whether the champion has collapsed, judged by its answers of each day since its promotion.

    `evaluation` is the slice of all rows on the champion's card, and `known` are (wrong, rows) of each day of that
    evaluation, as far as known. A collapse lasts until a day is healthy again.
    """
    if evaluation is None or not evaluation.rows or "accuracy" not in evaluation.metrics:
        return Collapse(CollapseVerdict.INCONCLUSIVE, "the card does not say how accurate the champion was")
    card = CardAccuracy.of(evaluation)
    dates = [day for day in sorted(days) if days[day].overall.rows >= FEWEST_ROWS]
    if len(dates) < 2:
        why = f"two days of {FEWEST_ROWS} labelled answers or more are needed, and it has had {len(dates)}"
        return Collapse(CollapseVerdict.INCONCLUSIVE, why, evaluated=card.accuracy)
    healthy = [Answers(rows, wrong) for wrong, rows in known if rows >= FEWEST_ROWS]
    told: int | None = None
    old = [days[day].overall for day in dates]
    found = Collapse(CollapseVerdict.HOLDS, "")
    gone: set[int] = set()
    for last in range(1, len(dates)):
        if told is not None and _accuracy(old[last]) < card.healthy:
            gone.add(last)
        else:
            seen = [old[day] for day in range(last - 1 - DAYS_UNTIL_KNOWN) if day not in gone]
            found = _pair(card, [*healthy, *seen], days, dates[last - 1 : last + 1])
            told = last - 1 if found.verdict is CollapseVerdict.COLLAPSED else None
            gone |= {last - 1, last} if told is not None else set()
    if told is None:
        return found
    pair = old[-2:]
    return Collapse(
        CollapseVerdict.COLLAPSED, found.reason, _accuracy(*pair), sum(day.rows for day in pair), card.accuracy,
        dates[told],
    )  # fmt: skip


def _pair(
    card: CardAccuracy, known: Sequence[Answers], days: Mapping[date, DayOfAnswers], two: Sequence[date]
) -> Collapse:
    """Judge two consecutive days."""
    answers = [days[day].overall for day in two]
    accuracy, rows = _accuracy(*answers), sum(day.rows for day in answers)

    def found(verdict: CollapseVerdict, why: str) -> Collapse:
        said = (
            f"accuracy {accuracy:.3f} of {rows:,} on {two[0]} and {two[1]}, {card.accuracy:.3f} when evaluated: {why}"
        )
        return Collapse(verdict, said, accuracy, rows, card.accuracy)

    suspected = CollapseVerdict.SUSPECTED if is_suspected(card, answers) else None
    lost = LEFT * card.accuracy
    looks = [(days[two[0]],), (days[two[1]],), tuple(days[day] for day in two)]
    if any(right.rate > lost + NOISE * right.error for right in (_right(known, *look) for look in looks)):
        if suspected:
            return found(suspected, "nearly a fifth is lost")
        return found(CollapseVerdict.HOLDS, "a fifth is not lost on both days")
    *each, both = [_right(known, *look) for look in looks]
    if max(both.upper(SURE), *(right.upper(SURE_OF_A_DAY) for right in each)) >= card.healthy:
        return found(suspected or CollapseVerdict.INCONCLUSIVE, _why_unproven(card, days, two))
    unlike = unlike_any(card, [(day.wrong, day.rows) for day in known])
    if min(1 - right.rate for right in each) <= unlike:
        why = f"a fifth is lost, but only over {unlike:.3f} wrong are two days unlike those known"
        return found(suspected or CollapseVerdict.INCONCLUSIVE, why)
    return found(
        CollapseVerdict.COLLAPSED, f"a fifth is lost, and less than {card.healthy:.3f} left with 99 % certainty"
    )


def is_suspected(card: CardAccuracy, two: Sequence[Answers]) -> bool:
    """Return whether neither day is healthy and both together have at most SUSPECTED_LEFT of the card's accuracy."""
    return max(_accuracy(day) for day in two) < card.healthy and _accuracy(*two) <= SUSPECTED_LEFT * card.accuracy


def _why_unproven(card: CardAccuracy, days: Mapping[date, DayOfAnswers], two: Sequence[date]) -> str:
    if card.needed is None:
        return "no loss of a fifth can be proven, with so few evaluated rows"
    few = next((day for day in reversed(two) if days[day].overall.rows < card.needed), None)
    if few is not None:
        return f"{days[few].overall.rows} labels of {few} are known, and it takes {card.needed} a day to tell"
    return f"a fifth may be lost, or {card.healthy:.3f} be left, for the hours of these days differ"


def _right(known: Sequence[Answers], *days: DayOfAnswers) -> BlockRate:
    """Return the accuracy of `days` by blocks of hours; if their hours are unknown, with the error of `known` days."""
    blocks = [its for day in days for its in _blocks(day)]
    found = block_rate(blocks)
    if len(blocks) > len(days) or len(known) < 2:
        return found
    of_days = block_rate([(day.rows - day.wrong, day.rows) for day in known])
    error = of_days.error * (sum(day.rows for day in known) / sum(rows for _, rows in blocks)) ** 0.5
    return found._replace(error=max(found.error, error), freedom=of_days.freedom)


def _blocks(day: DayOfAnswers) -> list[tuple[int, int]]:
    """Return (right, rows) of each block of four hours; of the whole day where the hours are not known."""
    if not day.hours:
        return [(day.overall.rows - day.overall.wrong, day.overall.rows)]
    right, rows = Counter[int](), Counter[int]()
    for hour, its in day.hours.items():
        right[hour // BLOCK_HOURS] += its.rows - its.wrong
        rows[hour // BLOCK_HOURS] += its.rows
    return [(right[block], rows[block]) for block in rows]


def _accuracy(*days: Answers) -> float:
    return 1 - sum(day.wrong for day in days) / sum(day.rows for day in days)
