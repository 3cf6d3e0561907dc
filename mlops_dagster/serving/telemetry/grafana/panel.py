"""Dashboards as data: panels with their queries, units and what follows from them."""

from dataclasses import dataclass
from typing import Final, Literal

PER_VERSION: Final = "{{version}}"
PER_ROLE: Final = "{{version}} {{role}}"

ANSWERED: Final = 'role=~"champion|canary|named"'
SPLIT: Final = 'role=~"champion|canary"'
OF_MODEL: Final = 'model="$model"'
OF_VERSIONS: Final = 'model="$model", version=~"$version"'


@dataclass(frozen=True, slots=True)
class Query:
    """A query in PromQL; `legend` names each of its series by its labels."""

    expr: str
    legend: str = ""


@dataclass(frozen=True, slots=True)
class Panel:
    """A panel: `description` says what follows from its numbers, `unit` is Grafana's name of a unit."""

    title: str
    description: str
    unit: str
    queries: tuple[Query, ...]
    kind: Literal["lines", "number", "heatmap"] = "lines"
    limits: tuple[float, ...] = ()
    """Lines of a warning, and of what is critical."""
    width: int = 12
    """Of 24 columns."""
    hardware: bool = False
    """It has data where the machine has that hardware only."""


@dataclass(frozen=True, slots=True)
class Dashboard:
    """A dashboard; `variables` are those that a person chooses, besides the data source and the board's address."""

    name: str
    title: str
    description: str
    panels: tuple[Panel, ...]
    variables: tuple[Literal["model", "version"], ...] = ()


def ratio(part: str, whole: str) -> str:
    """Return a query for one share of another, which has no value where there is nothing to share."""
    return f"{part} / ({whole} > 0)"


def lines(title: str, unit: str, description: str, *queries: tuple[str, str], limits: tuple[float, ...] = ()) -> Panel:
    """Return a panel of lines over time."""
    return Panel(title, description, unit, tuple(Query(*query) for query in queries), limits=limits)


def number(title: str, unit: str, description: str, expr: str, legend: str = "") -> Panel:
    """Return a panel of present numbers."""
    return Panel(title, description, unit, (Query(expr, legend),), kind="number", width=6)
