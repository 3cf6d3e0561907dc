"""The kinds of entries: besides texts and numbers, a table, a text in Markdown, and data for programs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

Cell: TypeAlias = str | int | float | None

MOST_ROWS = 30
"""The number of rows of a table at most: a longer one hides the entries below it; callers put the worst first."""


@dataclass(frozen=True, slots=True)
class Table:
    """Rows with the columns of the first row; of more than `MOST_ROWS` the first are shown."""

    rows: Sequence[Mapping[str, Cell]]

    @classmethod
    def of(cls, heading: str, lines: Sequence[str]) -> "Table":
        """Return a table of sentences, one below the other."""
        return cls([{heading: line} for line in lines])


@dataclass(frozen=True, slots=True)
class Markdown:
    """A text in Markdown, which is long: people open it by a click."""

    text: str


@dataclass(frozen=True, slots=True)
class Data:
    """A value for programs, shown after all that people read."""

    value: object


Entries: TypeAlias = dict[str, object]
"""Entries by name: texts, numbers, tables, Markdown and data."""


def for_programs(entries: Mapping[str, object]) -> Entries:
    """Return the same entries with texts as data.

    >>> for_programs({"floor": "fine", "macro_f1": 0.9})
    {'floor': Data(value='fine'), 'macro_f1': 0.9}
    """
    return {name: Data(value) if isinstance(value, str) else value for name, value in entries.items()}


def finite(e_value: float) -> float:
    """Return a finite e-value: neither a plot nor JSON can show infinity."""
    return min(e_value, 1e300)
