"""`mlops models compare`: two versions side by side."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from mlops_dagster.cli.arguments import Json, Model
from mlops_dagster.cli.completion import version_names
from mlops_dagster.cli.models.facts import status, summary
from mlops_dagster.cli.output import NONE, Cell, day, hint, number, print_json, right, say, table, title
from mlops_dagster.cli.running import open_stores
from mlops_dagster.clock import in_utc
from mlops_dagster.loop.shown.versions import serving

if TYPE_CHECKING:
    from mlops_dagster.cli.models.comparison import Comparison, Interval, MetricPair, SchemaChange, Shift
    from mlops_dagster.registry import Deployment, ModelVersion, Provenance

_MOST = 100
"""So many metrics of slices are read, the largest differences first."""


def compare(
    model: Model,
    first: Annotated[str, typer.Argument(help="a version", autocompletion=version_names)],
    second: Annotated[str, typer.Argument(help="another one", autocompletion=version_names)],
    json: Json = False,
) -> None:
    """Show two versions side by side: metrics, training data, features, lineage, drift from first to second."""
    from mlops_dagster.cli.models.comparison import compare

    registry = open_stores().registry
    found = compare(registry.get(model, first), registry.get(model, second))
    deployment = registry.deployment(model)
    if json:
        print_json(_document(found, deployment))
        return
    versions = (found.first.version, found.second.version)
    table(("", *versions), _side_by_side(found, deployment))
    if found.metrics:
        title("Metrics, each version on its own held-out rows")
        table(
            ("slice", "metric", right("rows"), *map(right, versions), right("difference")),
            map(_metric_row, found.metrics[:_MOST]),
        )
        if (more := len(found.metrics) - _MOST) > 0:
            hint(f"{more:,} more lines, with smaller differences: --json has them")
    else:
        say("No slice or metric is common to both.")
    if found.shifts is None:
        say("No drift to tell: a version has no baseline.")
    else:
        title(f"Training data of {versions[1]} against those of {versions[0]}")
        table(("feature", right("PSI"), right("chance"), ""), map(_shift_row, found.shifts))


def _document(found: "Comparison", deployment: "Deployment") -> dict[str, object]:
    return {
        "first": _version(found.first, deployment),
        "second": _version(found.second, deployment),
        "same_bytes": found.first.digest == found.second.digest,
        "metrics": [{**asdict(pair), "difference": pair.difference} for pair in found.metrics],
        "schema": found.schema and asdict(found.schema),
        "lineage": {name: {"first": first, "second": second} for name, (first, second) in found.lineage.items()},
        "drift": found.shifts and list(map(asdict, found.shifts)),
    }


def _version(version: "ModelVersion", deployment: "Deployment") -> dict[str, object]:
    data = version.card and version.card.provenance
    return {
        **summary(version, deployment),
        "digest": version.digest,
        "training_data": data and {**data.model_dump(), "start": in_utc(data.start), "end": in_utc(data.end)},
    }


def _side_by_side(found: "Comparison", deployment: "Deployment") -> list[Sequence[Cell]]:
    def both(name: str, tell: "Callable[[ModelVersion], Cell]") -> Sequence[Cell]:
        return name, tell(found.first), tell(found.second)

    rows = [
        both("status", status),
        both("deployment", lambda version: str(serving(deployment, version.version))),
        both("trained on", lambda version: _of_data(version, lambda data: data.dataset)),
        both("period", lambda version: _of_data(version, lambda data: f"{day(data.start)} to {day(data.end)}")),
        both("rows", lambda version: _of_data(version, lambda data: f"{data.rows:,}")),
        both("features", lambda version: f"{len(version.schema.names)}" if version.schema else NONE),
        both("bytes", lambda version: version.digest.removeprefix("folder-")[:12]),
    ]
    if found.first.digest == found.second.digest:
        rows[-1] = ("bytes", found.first.digest.removeprefix("folder-")[:12], "the same")
    if found.schema is not None:
        rows += _schema_rows(found.first, found.second, found.schema)
    return rows + [(f"lineage {name}", old or NONE, new or NONE) for name, (old, new) in found.lineage.items()]


def _of_data(version: "ModelVersion", tell: "Callable[[Provenance], str]") -> str:
    return tell(version.card.provenance) if version.card and version.card.provenance else NONE


def _schema_rows(first: "ModelVersion", second: "ModelVersion", change: "SchemaChange") -> Iterator[Sequence[Cell]]:
    if change.removed or change.added:
        yield "only here", ", ".join(change.removed) or NONE, ", ".join(change.added) or NONE
    for name in change.changed:
        yield f"feature {name}", _feature(first, name), _feature(second, name)
    if change.task_differs:
        before, after = _task(first), _task(second)
        for name in {**before, **after}:
            yield name, before.get(name, NONE), after.get(name, NONE)


def _feature(version: "ModelVersion", name: str) -> str:
    assert version.schema is not None
    feature = version.schema.feature(name)
    return feature.kind if feature.nullable else f"{feature.kind}, never null"


def _task(version: "ModelVersion") -> dict[str, str]:
    described = {} if version.schema is None else version.schema.task.describe()
    return {name: ", ".join(values) for name, values in described.items()}


def _metric_row(pair: "MetricPair") -> tuple[Cell, ...]:
    return (
        pair.slice,
        pair.metric,
        f"{_count(pair.first_rows)} / {_count(pair.second_rows)}",
        _measured(pair.first, pair.first_interval),
        _measured(pair.second, pair.second_interval),
        _signed(pair.difference),
    )


def _count(rows: int | None) -> str:
    return NONE if rows is None else f"{rows:,}"


def _measured(value: float | None, interval: "Interval | None") -> str:
    return number(value) + (f" ({interval[0]:.3f} to {interval[1]:.3f})" if interval else "")


def _signed(difference: float | None) -> Text:
    if difference is None:
        return Text(NONE)
    return Text(f"{difference:+.4f}", style="green" if difference > 0 else "red" if difference < 0 else "")


def _shift_row(shift: "Shift") -> tuple[Cell, ...]:
    if shift.psi is None or shift.noise is None:
        return shift.name, NONE, NONE, shift.reason
    more = shift.psi > shift.noise
    return (
        shift.name,
        f"{shift.psi:.3f}",
        f"{shift.noise:.3f}",
        Text("more than chance" if more else "", style="yellow"),
    )
