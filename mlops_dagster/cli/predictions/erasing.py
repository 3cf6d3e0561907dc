"""`mlops predictions erase` and `erasures`: erasure of rows from all stores, and erasures that wait."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mlops_dagster.cli.arguments import Json, ModelOption
from mlops_dagster.cli.output import hint, print_json, right, say, table
from mlops_dagster.cli.running import open_stores
from mlops_dagster.documents.texts import counted
from mlops_dagster.errors import InvalidInputError

if TYPE_CHECKING:
    from mlops_dagster.predictions import Asked, Choice, Found
    from mlops_dagster.stores import Stores

_SHOWN = 20

KeyOption = Annotated[list[str] | None, typer.Option("--key", help="all rows with this routing key; may be repeated")]
KeysOption = Annotated[Path | None, typer.Option("--keys", help="a file of routing keys, one a line", exists=True)]
IdOption = Annotated[list[str] | None, typer.Option("--id", help="the prediction with this id; may be repeated")]


def erase_predictions(
    model: ModelOption,
    reason: Annotated[str | None, typer.Option(help="the reason, such as a ticket; it is kept for ever")] = None,
    key: KeyOption = None,
    keys: KeysOption = None,
    id_: IdOption = None,
    later: Annotated[bool, typer.Option("--later", help="only note them for the next erasure")] = False,
    json: Json = False,
) -> None:
    """Erase the rows of some people from log, labels, spool, quarantine and scored batches, for good.

    Each day that has a chosen row is rewritten, so many people cost hardly more than one: waiting erasures are done
    too, and without --key, --keys or --id only those. Name many people in a file: any user can read a command line.

    The erasure stays on record. Rows of batches are found by `prediction_id` or `key`, if they have such a column.
    Run it again if it is interrupted, and once for every home that serves the model.
    """
    from mlops_dagster.predictions import Choice, check_reason

    stores = open_stores()
    named, ids = [*(key or ()), *(_lines(keys) if keys is not None else ())], id_ or []
    if named or ids or reason:
        if not (reason and (named or ids)):
            raise InvalidInputError("say what to erase (--key, --keys or --id) and why (--reason), such as a ticket")
        if model not in stores.log.models():
            raise InvalidInputError(f"the log has no model {model!r}; it has {stores.log.models()}")
        check_reason(reason, [*named, *ids])
        stores.asked_erasures.add(model, keys=named, ids=ids, reason=reason, at=stores.clock.now())
    waiting = stores.asked_erasures.waiting(model)
    if later or not waiting:
        _tell_what_waits(waiting, json=json)
        return
    by_kind = {
        kind: tuple(dict.fromkeys(each.name for each in waiting if each.what == kind)) for kind in ("keys", "ids")
    }
    reasons = "; ".join(dict.fromkeys(each.reason for each in waiting))
    _erase(stores, Choice(model, keys=by_kind["keys"], ids=by_kind["ids"]), reasons, json=json)
    stores.asked_erasures.done(waiting)


def list_erasures(json: Json = False) -> None:
    """Show how many erasures wait and their due dates, by model; never the people concerned."""
    _tell_what_waits(open_stores().asked_erasures.waiting(), json=json)


def _tell_what_waits(waiting: "Sequence[Asked]", *, json: bool) -> None:
    models = sorted({each.model for each in waiting})
    its = {model: [each for each in waiting if each.model == model] for model in models}
    if json:
        due = {model: min(each.due for each in found).isoformat() for model, found in its.items()}
        print_json([{"model": model, "waiting": len(its[model]), "due": due[model]} for model in models])
    elif not waiting:
        say("no erasure waits")
    else:
        rows = [[model, str(len(found)), f"{min(each.due for each in found):%Y-%m-%d}"] for model, found in its.items()]
        table(["model", right("waiting"), "to be done by"], rows)


def _erase(stores: "Stores", choice: "Choice", reason: str, *, json: bool) -> None:
    from mlops_dagster.monitoring.copies import Copies
    from mlops_dagster.predictions import erase

    copies = Copies([stores.quarantine, stores.batch_scores], drawn=[stores.profiles, stores.report_pages])

    def erase_copies(choice: "Choice", found: "Found") -> int:
        stores.feedback.forget(choice.model, found.ids)  # labels that wait for another replica
        return copies.erase(choice, found)

    erased = erase(
        stores.log,
        stores.spool,
        stores.all_rollups,
        choice,
        actor=stores.actor,
        reason=reason,
        at=stores.clock.now(),
        copies=erase_copies,
    )
    if json:
        print_json({**asdict(erased), "drawn": len(copies.removed), "unsearched": copies.unsearched})
    else:
        say(
            f"erased {counted(erased.predictions, 'predictions')}, {counted(erased.labels, 'labels')} and "
            f"{counted(erased.copies, 'copies')} of rows "
            f"(quarantine, scored batches) of {choice.model}"
        )
    if copies.unsearched:
        which = ", ".join(copies.unsearched[:_SHOWN])
        hint(
            f"it is unknown whose rows are in {counted(len(copies.unsearched), 'files')} without `prediction_id` and "
            f"`key`; those of old days go with `predictions_days` of the model's retention: {which}"
        )
    if copies.removed:
        hint(
            f"{len(copies.removed)} profiles and pages that were drawn from these rows are removed too; materialize "
            "`drift_report` of their hours to draw them anew"
        )
    hint("backups, and dumps of PostgreSQL, keep what was erased until they are removed; after a restore erase again")
    if stores.settings.log_url is not None or stores.settings.storage_url is not None:
        hint("a bucket that keeps old versions of objects keeps what was erased until its lifecycle rule removes them")


def _lines(file: Path) -> list[str]:
    try:
        return [line for line in file.read_text(encoding="utf-8").splitlines() if line]
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInputError(f"the keys in {str(file)!r} cannot be read: {type(error).__name__}") from error
