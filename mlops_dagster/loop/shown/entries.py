"""The kinds of entries: besides texts and numbers, a table, a text in Markdown, a link, and data for programs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

Cell: TypeAlias = str | int | float | None

MOST_ROWS = 30
"""The number of rows of a table at most: a longer one hides the entries below it; callers put the worst first."""


@dataclass(frozen=True, slots=True)
class Table:
    """Rows with the columns of the first row; of more than `MOST_ROWS` the first are shown."""

    rows: Sequence[Mapping[str, Cell]]

    def shown(self) -> list[dict[str, Cell]]:
        """Return the first rows, with numbers as people read them.

        >>> Table([{"feature": "temp", "PSI": 0.41237}]).shown()
        [{'feature': 'temp', 'PSI': 0.4124}]
        """
        return [{name: _shown(cell) for name, cell in row.items()} for row in self.rows[:MOST_ROWS]]

    @classmethod
    def of(cls, heading: str, lines: Sequence[str]) -> "Table":
        """Return a table of sentences, one below the other."""
        return cls([{heading: line} for line in lines])


@dataclass(frozen=True, slots=True)
class Markdown:
    """A text in Markdown, which is long: people open it by a click."""

    text: str


@dataclass(frozen=True, slots=True)
class FileLink:
    """A file or folder, by its address or, on this machine, its path: to open or, if `opens` is false, to copy."""

    place: str
    opens: bool = True


@dataclass(frozen=True, slots=True)
class AssetLink:
    """A link to an asset of a model."""

    model: str
    asset: str


@dataclass(frozen=True, slots=True)
class PageLink:
    """A link to a page, by its address: of the control room or, without a host, of the orchestrator's UI."""

    address: str


@dataclass(frozen=True, slots=True)
class RunLink:
    """A link to a run of the orchestrator."""

    id: str


@dataclass(frozen=True, slots=True)
class Data:
    """A value for programs, shown after all that people read."""

    value: object


Entries: TypeAlias = dict[str, object]
"""Entries by name: texts, numbers, tables, Markdown, links and data."""

_ORDER: Final = ((str,), (Table,), (int, float), (FileLink, AssetLink, PageLink, RunLink, Markdown))


def in_order(entries: Mapping[str, object]) -> Entries:
    """Return the entries in order: texts first, then tables, numbers, links and pages, last data for programs.

    >>> list(in_order({"psi": Data({"temp": 0.4}), "rows": 9, "reason": "temp has moved"}))
    ['reason', 'rows', 'psi']
    """
    return dict(sorted(entries.items(), key=lambda entry: _rank(entry[1])))


def links_to(model: str, **assets: str) -> Entries:
    """Return links to assets of a model, each under a name."""
    return {name: AssetLink(model, asset) for name, asset in assets.items()}


def for_programs(entries: Mapping[str, object]) -> Entries:
    """Return the same entries with texts as data.

    >>> for_programs({"floor": "fine", "macro_f1": 0.9})
    {'floor': Data(value='fine'), 'macro_f1': 0.9}
    """
    return {name: Data(value) if isinstance(value, str) else value for name, value in entries.items()}


def finite(e_value: float) -> float:
    """Return a finite e-value: neither a plot nor JSON can show infinity."""
    return min(e_value, 1e300)


def _shown(cell: Cell) -> Cell:
    return float(f"{cell:.4g}") if isinstance(cell, float) else cell


def _rank(entry: object) -> int:
    return next((rank for rank, types in enumerate(_ORDER) if isinstance(entry, types)), len(_ORDER))
