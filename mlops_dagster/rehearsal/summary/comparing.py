"""One history played twice, under two policies or on two kinds of stores: the results of each, side by side."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from mlops_dagster.rehearsal.orchestrator.project import find_model
from mlops_dagster.rehearsal.policy import differences, with_policy
from mlops_dagster.rehearsal.run import DEFAULT_HOME, rehearse
from mlops_dagster.rehearsal.scenario import Scenario
from mlops_dagster.rehearsal.summary.display import figures, in_short
from mlops_dagster.rehearsal.summary.summary import Summary

OTHER = "-other-policy"
"""The suffix of the second home's name."""


def compare(
    scenario: Scenario, policy: Mapping[str, object], home: Path = DEFAULT_HOME, console: Console | None = None
) -> tuple[Summary, Summary]:
    """Play the scenario under the model's own policies and, in a second home next to it, under those of `policy`.

    `policy` has sections as a `defs.yaml` has them; each replaces the model's section as a whole. Raises
    InvalidPolicyError before anything is played, and the errors of `rehearse`.
    """
    own = find_model(scenario.model, scenario.project).spec
    own = own if scenario.policy is None else with_policy(own, scenario.policy, scenario.project)
    changed = differences(own, with_policy(own, policy, scenario.project))
    first = rehearse(scenario, home)
    both = {**(scenario.policy or {}), **policy}
    second = rehearse(replace(scenario, policy=both), home.with_name(f"{home.name}{OTHER}"))
    console = console or Console()
    columns = ("as its YAML says", "under the other policy")
    differing = ((name, *values) for name, values in changed.items())
    console.print(_table("What differs in the policies", columns, differing))
    console.print(side_by_side(f"The life of {scenario.model} under both", columns, first, second))
    return first, second


def side_by_side(title: str, columns: tuple[str, str], first: Summary, second: Summary) -> Table:
    """Return a table of every figure of both rehearsals; what differs is bold."""
    return _table(title, columns, _outcomes(first, second))


def _outcomes(first: Summary, second: Summary) -> Iterator[tuple[str, str, str]]:
    """Yield every figure of both rehearsals, and the fate of each bad release."""
    others = figures(second)
    for name, value in figures(first).items():
        yield name, value, others[name]
    for one, other in zip(first.bad_releases, second.bad_releases, strict=True):
        yield one.what, in_short(one.fate), in_short(other.fate)


def _table(title: str, columns: tuple[str, str], rows: Iterator[tuple[str, str, str]]) -> Table:
    table = Table("", *columns, title=title)
    for name, one, other in rows:
        table.add_row(escape(name), escape(one), escape(other), style=None if one == other else "bold")
    return table
