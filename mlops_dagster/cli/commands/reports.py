"""`mlops reports`: the reports on a model, by hour, day and week."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

import typer

from mlops_dagster.cli.arguments import Json, Model, time_of
from mlops_dagster.cli.output import NONE, facts, minute, print_json, right, say, table, title
from mlops_dagster.cli.running import open_stores, speaks
from mlops_dagster.errors import NotFoundError

if TYPE_CHECKING:
    from mlops_dagster.reports import Report

reports = typer.Typer(no_args_is_help=True, help="The reports on a model, by hour, day and week.")

Kind = Annotated[str | None, typer.Option(help="only reports of this kind: validation, drift, performance, labels")]
At = Annotated[str | None, typer.Option(help="as they stood at this time (ISO 8601 with a zone); else now")]


_HOURLY = ("validation", "drift")


@reports.command("list")
@speaks
def list_reports(
    model: Model,
    kind: Kind = None,
    at: At = None,
    last: Annotated[int, typer.Option(help="number of reports", min=1)] = 50,
    json: Json = False,
) -> None:
    """List the newest reports, each in its last revision."""
    stores, then = open_stores(), time_of(at)
    if then is not None:
        stores.retention.check_shown(then, model)
    found = stores.reports.list(model, kind=kind, at=then, last=last)
    if json:
        print_json([_header(each) for each in found])
        return
    if not found:
        say(f"there are no {f'{kind} reports' if kind else 'reports'} of {model}")
        return
    table(
        ("period (UTC)", "kind", "verdict", "champion", right("revision"), "made (UTC)", "why"),
        [
            (
                minute(each.start),
                each.kind,
                each.verdict,
                each.champion or NONE,
                str(each.revision),
                minute(each.made_at),
                each.reason,
            )
            for each in found
        ],
    )


@reports.command()
@speaks
def show(
    model: Model,
    kind: Annotated[str, typer.Option(help="validation, drift, performance or labels")] = "drift",
    start: Annotated[str | None, typer.Option(help="start of its period (ISO 8601); else the newest")] = None,
    at: At = None,
    json: Json = False,
) -> None:
    """Show one report with its whole content; raises NotFoundError if it does not exist."""
    from mlops_dagster.retention import Kind as Kept

    stores, begun, then = open_stores(), time_of(start), time_of(at)
    if then is not None:
        stores.retention.check_shown(then, model)
    found = stores.reports.get(model, kind, start=begun, at=then)
    if found is None:
        if begun is not None:
            stores.retention.check_kept(Kept.HOUR_REPORTS if kind in _HOURLY else Kept.REPORTS, begun, model)
        raise NotFoundError(f"no {kind} report of {model}; `mlops reports list {model}` shows those that there are")
    if json:
        print_json({**_header(found), "content": found.content})
        return
    facts(
        [
            ("period", f"{minute(found.start)} UTC"),
            ("verdict", found.verdict),
            ("why", found.reason or NONE),
            ("champion", found.champion or NONE),
            ("revision", f"{found.revision}, made {minute(found.made_at)} UTC"),
        ]
    )
    title("content")
    print_json(found.content)


def _header(report: "Report[Mapping[str, object]]") -> dict[str, object]:
    names = ("model", "kind", "start", "revision", "made_at", "champion", "verdict", "reason")
    return {name: getattr(report, name) for name in names}
