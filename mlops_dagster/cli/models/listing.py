"""`mlops models list` and `history`: the versions of models, and their changes."""

from typing import TYPE_CHECKING, Annotated

import typer

from mlops_dagster.cli.arguments import Json, Model
from mlops_dagster.cli.completion import model_names, version_names
from mlops_dagster.cli.models.facts import status, summary
from mlops_dagster.cli.output import NONE, day, hint, minute, number, print_json, right, table
from mlops_dagster.cli.running import open_stores
from mlops_dagster.loop.shown.versions import accuracy, serving, trained

if TYPE_CHECKING:
    from mlops_dagster.registry import Event


def list_versions(
    model: Annotated[str | None, typer.Argument(help="only this model's", autocompletion=model_names)] = None,
    json: Json = False,
) -> None:
    """List every version: training date, accuracy, stage, and share of the traffic."""
    from mlops_dagster.loop.retraining.in_turn import BEAT

    stores = open_stores()
    registry = stores.registry
    names = registry.models() if model is None else [model]
    found = [(version, registry.deployment(name)) for name in names for version in registry.list(name)]
    if not found:
        hint("no versions yet; `mlops models register NAME ARTIFACT` makes the first")
    for waiting in (beat.note for beat in stores.beats.list() if beat.name == BEAT and beat.note):
        hint(waiting)
    if json:
        print_json([summary(version, deployment) for version, deployment in found])
        return
    table(
        ("version", "model", "trained", right("accuracy"), "status", "deployment"),
        [
            (
                version.version,
                version.model,
                day(trained(version)),
                number(accuracy(version)),
                status(version),
                str(serving(deployment, version.version)),
            )
            for version, deployment in found
        ],
    )


def history(
    model: Model,
    version: Annotated[str | None, typer.Option(help="only this version's", autocompletion=version_names)] = None,
    json: Json = False,
) -> None:
    """List every change of a model, oldest first, with time, actor and reason."""
    registry = open_stores().registry
    only = None if version is None else registry.get(model, version).version
    events = [event for event in registry.history(model) if only in (None, event.version)]
    if json:
        print_json(list(map(event_document, events)))
        return
    table(
        ("at (UTC)", "event", "version", "stage", "actor", "reason"),
        [
            (
                minute(event.at),
                event.kind,
                event.version or NONE,
                event.to_stage.value if event.to_stage else NONE,
                event.actor,
                event.reason,
            )
            for event in events
        ],
    )


def event_document(event: "Event") -> dict[str, object]:
    """Return an event for programs, with its evidence; without the deployment that it led to."""
    return {
        "id": event.id,
        "at": event.at,
        "recorded_at": event.recorded_at,
        "kind": event.kind,
        "model": event.model,
        "version": event.version,
        "from_stage": event.from_stage,
        "to_stage": event.to_stage,
        "actor": event.actor,
        "reason": event.reason,
        "epoch": event.epoch,
        "evidence": event.evidence,
        "hash": event.hash,
    }
