"""`mlops predictions slowest`: the slowest requests, with their trace ids."""

from datetime import timedelta
from typing import Annotated

import typer
from rich.table import Column

from mlops_dagster.cli.arguments import Json, Model
from mlops_dagster.cli.output import NONE, hint, minute, print_json, right, table
from mlops_dagster.cli.running import open_stores, speaks


@speaks
def slowest_predictions(
    model: Model,
    hours: Annotated[float, typer.Option(help="how far back to look", min=0.01, max=24 * 366)] = 1,
    count: Annotated[int, typer.Option(help="how many requests to list", min=1, max=1000)] = 10,
    json: Json = False,
) -> None:
    """List the slowest requests of the last hours, with phases and trace ids; requests come into the log in seconds."""
    from mlops_dagster.predictions.log.slowest import slowest

    stores = open_stores()
    now = stores.clock.now()
    found = slowest(stores.log, model, now - timedelta(hours=hours), now + timedelta(seconds=1), count)
    if json:
        print_json([each._asdict() for each in found])
        return
    columns: tuple[str | Column, ...] = (
        "at",
        "version",
        "role",
        "status",
        *map(right, ("ms", "preprocess", "inference", "postprocess")),
        "trace",
    )
    phases = ("latency_ms", "preprocess_ms", "inference_ms", "postprocess_ms")
    table(
        columns,
        [
            (
                minute(each.event_time),
                each.version or NONE,
                each.role,
                each.status,
                *(NONE if (value := getattr(each, phase)) is None else f"{value:,.1f}" for phase in phases),
                each.trace_id or NONE,
            )
            for each in found
        ],
    )
    if not found:
        hint(f"no request of {model} in the log in the last {hours:g} hours")
