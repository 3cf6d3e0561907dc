"""`mlops predictions`: audit, recount, replay and repair of the prediction log."""

from collections.abc import Iterable
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Column

from mlops_dagster.cli.arguments import Json
from mlops_dagster.cli.output import NONE, hint, number, print_json, right, say, table
from mlops_dagster.cli.predictions.erasing import erase_predictions, list_erasures
from mlops_dagster.cli.predictions.slowest import slowest_predictions
from mlops_dagster.cli.running import open_stores, speaks
from mlops_dagster.documents.texts import counted

if TYPE_CHECKING:
    from mlops_dagster.predictions import AuditReport
    from mlops_dagster.serving.replay import ReplayedAnswer

predictions = typer.Typer(no_args_is_help=True, help="The prediction log.")

_SHOWN = 20

_COUNTS_LOST = (
    "the counts that decisions read are lost, or an older copy of them: `mlops serve` counts them again from the log, "
    "and so does `mlops predictions recount`; until that is done, evidence is missing"
)


@predictions.command("audit")
@speaks
def audit_predictions(json: Json = False) -> None:
    """Prove that every answered prediction is in the spool or the log; exit code 1 if any is missing."""
    from mlops_dagster.predictions import audit as check

    stores = open_stores()
    report = check(stores.spool, stores.log, stores.rollups)
    if any(rollups.is_behind(stores.spool) for rollups in stores.all_rollups):
        report = replace(report, problems=(*report.problems, _COUNTS_LOST))
    counts = {
        "answered": report.answered,
        "logged": report.logged,
        "spooled": report.spooled,
        "erased": report.erased,
        "gaps": len(report.gaps),
        "twice": report.twice,
    }
    if json:
        names = ("process", "model", "first", "last")
        gaps = [dict(zip(names, gap, strict=True)) for gap in report.gaps]
        print_json({**counts, "complete": report.complete, "missing": gaps, "problems": report.problems})
    else:
        table([right(name) for name in counts], [[f"{count:,}" for count in counts.values()]])
        _explain(report)
    if not report.complete:
        raise typer.Exit(1)


@predictions.command("recount")
@speaks
def recount_predictions(json: Json = False) -> None:
    """Count the whole log again, if drift, rollouts or metrics look wrong; `mlops serve` may run meanwhile.

    `mlops serve` restores lost counts by itself. Erased rows are gone, and are not counted again.
    """
    from mlops_dagster.database import set_aside_if_damaged
    from mlops_dagster.serving.deployed.registry_cache import RegistryCache
    from mlops_dagster.serving.telemetry.telemetry import Telemetry
    from mlops_dagster.serving.upkeep.shipping import Shipper

    stores = open_stores()
    set_aside_if_damaged(stores.settings.local_rollups_path)
    last_known = RegistryCache(stores.settings.last_known_path)
    found = Shipper(stores, last_known, Telemetry("recount")).recount()
    if json:
        print_json({"predictions": found.predictions, "labels": found.labels, "left_out": dict(found.left_out)})
    else:
        say(f"counted {counted(found.predictions, 'predictions')} and {counted(found.labels, 'labels')} again")
        for model, reason in found.left_out.items():
            say(f"nothing of {model}: {reason}; mend that, and count again")
    if found.left_out:
        raise typer.Exit(1)


@predictions.command("replay")
@speaks
def replay_prediction(
    prediction_id: Annotated[str, typer.Argument(help="the id from the answer")],
    model: Annotated[str | None, typer.Option(help="only this model's log; else all models")] = None,
    json: Json = False,
) -> None:
    """Score a logged row again with its artifact; exit code 1 if the answer differs."""
    from mlops_dagster.serving.replay import replay

    found = replay(open_stores(), prediction_id, model)
    if json:
        print_json(asdict(found))
    else:
        say(f"{found.model} {found.version}, {found.prediction_id}: {'the same' if found.same else 'DIFFERENT'}")
        columns: list[str | Column] = ["", "label", right("score"), *found.again.tensors, "error"]
        both = (("logged", found.logged), ("again", found.again))
        table(columns, [[name, *_cells(answer, found.again.tensors)] for name, answer in both])
    if not found.same:
        raise typer.Exit(1)


predictions.command("erase")(speaks(erase_predictions))
predictions.command("erasures")(speaks(list_erasures))
predictions.command("slowest")(slowest_predictions)


@predictions.command("repair")
@speaks
def repair_predictions(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="count the rows to remove, and change nothing")] = False,
    json: Json = False,
) -> None:
    """Remove all but one of each row that is in the log several times (`twice` in `audit`); safe to repeat."""
    from mlops_dagster.predictions import find_doubled, repair

    log = open_stores().log
    found = find_doubled(log) if dry_run else repair(log)
    if json:
        print_json({"dry_run": dry_run, "tables": [asdict(each) for each in found]})
        return
    columns: list[str | Column] = ["table", right("rows"), right("surplus"), right("days with surplus")]
    table(columns, [[each.table, f"{each.rows:,}", f"{each.surplus:,}", f"{each.days:,}"] for each in found])
    surplus = sum(each.surplus for each in found)
    say(f"{'to be removed' if dry_run else 'removed'}: {counted(surplus, 'rows')}")


def _explain(report: "AuditReport") -> None:
    if report.gaps:
        table(
            ["missing of process", "model", right("first"), right("last")],
            [[process, model, str(first), str(last)] for process, model, first, last in report.gaps[:_SHOWN]],
        )
    for problem in report.problems[:_SHOWN]:
        say(problem)
    more = max(len(report.gaps), len(report.problems)) - _SHOWN
    if more > 0:
        hint(f"and {more} more; --json has all")
    if report.twice:
        hint("`mlops predictions repair` leaves one of each row that is there twice; --dry-run counts them")
    if unknown := {process.process for process in report.processes if process.known_by == "log"}:
        hint(f"known by the log only: {counted(len(unknown), 'processes')}; their homes know their last answers")


def _cells(answer: "ReplayedAnswer", names: Iterable[str]) -> list[str]:
    tensors = (", ".join(map(number, answer.tensors.get(name, ()))) or NONE for name in names)
    return [answer.label or NONE, number(answer.score), *tensors, answer.error or NONE]
