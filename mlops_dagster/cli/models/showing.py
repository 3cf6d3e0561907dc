"""`mlops models show`, `card` and `check`: one version in detail."""

import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from mlops_dagster.cli.arguments import Json, Model, Version
from mlops_dagster.cli.models.facts import status, summary
from mlops_dagster.cli.models.listing import event_document
from mlops_dagster.cli.output import NONE, Cell, facts, minute, print_json, say, stdout, table, write_text
from mlops_dagster.cli.running import open_stores
from mlops_dagster.errors import NotFoundError
from mlops_dagster.links.dagster import run_page
from mlops_dagster.loop.shown.versions import serving

if TYPE_CHECKING:
    from mlops_dagster.errors import RefusedError
    from mlops_dagster.registry import Deployment, Event, ModelVersion

_NAMED = 40
_REVIEWS = ("approval_requested", "approved", "rejected", "forced")


def show(model: Model, version: Version, json: Json = False) -> None:
    """Show everything about one version: bytes, lineage, metrics, schema, card, gates, deployment, approvals."""
    stores = open_stores()
    registry, dagster = stores.registry, stores.settings.dagster_url
    found, deployment = registry.get(model, version), registry.deployment(model)
    failures = registry.closed_gates(found)
    reviews = [event for event in registry.history(model) if event.version == found.version and event.kind in _REVIEWS]
    if json:
        print_json(_document(found, deployment, failures, reviews) | {"dagster": _run_page(found, dagster)})
    else:
        page = _run_page(found, dagster)
        facts([*_facts(found, deployment, failures, reviews), *([("Dagster", page)] if page else [])])


def card(
    model: Model,
    version: Version,
    json: Json = False,
    html: Annotated[Path | None, typer.Option(help="write it as a page with plots to this file")] = None,
) -> None:
    """Print the model card: Markdown into a pipe, formatted on a terminal; as JSON it can be registered again."""
    stores = open_stores()
    found = stores.registry.get(model, version)
    if found.card is None:
        raise NotFoundError(f"{found.model} {found.version} has no card; `attach_card` of the SDK gives it one")
    if html is not None:
        from mlops_dagster.registry import to_html

        run = _run_page(found, stores.settings.dagster_url)
        page = to_html(found.card, title=f"{found.model} {found.version}", baseline=found.baseline, run=run)
        write_text(html, page)
    elif json:
        print_json(found.card.model_dump(mode="json"))
    else:
        _print_markdown(f"# {found.model} {found.version}\n\n{found.card.to_markdown()}")


def _print_markdown(text: str) -> None:
    if sys.stdout.isatty():
        from rich.markdown import Markdown

        stdout().print(Markdown(text))
    else:
        typer.echo(text, nl=False)


def check(model: Model, version: Version, json: Json = False) -> None:
    """Show the gates of production that are closed for a version; exit code 1 if any is closed."""
    registry = open_stores().registry
    found = registry.get(model, version)
    failures = registry.closed_gates(found)
    if json:
        print_json({"model": found.model, "version": found.version, "gates": gate_documents(failures)})
    elif failures:
        table(("gate", "why it is closed"), [(error.code, error.message) for error in failures])
    else:
        say(f"{found.model} {found.version} may enter production")
    if failures:
        raise typer.Exit(1)


def gate_documents(failures: "Iterable[RefusedError]") -> list[dict[str, str]]:
    """Return the closed gates, for programs."""
    return [{"code": error.code, "message": error.message} for error in failures]


def _document(
    version: "ModelVersion",
    deployment: "Deployment",
    failures: "Sequence[RefusedError]",
    reviews: "Sequence[Event]",
) -> dict[str, object]:
    return {
        **summary(version, deployment),
        "digest": version.digest,
        "registered": version.created_at,
        "description": version.description,
        "reason": version.reason,
        "signed": version.signature is not None,
        "tags": version.tags,
        "lineage": version.lineage,
        "metrics": version.metrics,
        "schema": version.schema and version.schema.model_dump(mode="json"),
        "baseline": version.baseline is not None,
        "card": version.card is not None,
        "card_missing": _missing(version),
        "can_prove": _can_prove(version),
        "gates": gate_documents(failures),
        "approvals": list(map(event_document, reviews)),
    }


def _facts(
    version: "ModelVersion",
    deployment: "Deployment",
    failures: "Sequence[RefusedError]",
    reviews: "Sequence[Event]",
) -> list[tuple[str, Cell]]:
    lines: list[tuple[str, Cell]] = [
        ("model", Text(version.model, style="bold")),
        ("version", Text(version.version, style="bold")),
        ("status", status(version)),
        ("deployment", str(serving(deployment, version.version))),
        ("why", version.reason or NONE),
        ("description", version.description or NONE),
        ("registered", f"{minute(version.created_at)} UTC"),
        ("digest", version.digest),
        ("signature", "present" if version.signature else NONE),
        ("tags", _listed(version.tags)),
        ("lineage", _listed(version.lineage)),
        ("metrics", _listed({name: f"{value:.6g}" for name, value in version.metrics.items()})),
        ("features", _some([f"{each.name} ({each.kind})" for each in version.schema.features]))
        if version.schema
        else ("features", NONE),
        *_task(version),
        ("baseline", "present" if version.baseline else NONE),
        ("card", _card(version)),
        *(("provable", line) for line in _can_prove(version) or [NONE]),
    ]
    if deployment.on_hold is not None:
        lines.insert(4, ("on hold", Text(deployment.on_hold.reason, style="red")))
    lines += [("gate", Text.assemble((error.code, "red"), f": {error.message}")) for error in failures]
    if not failures:
        lines.append(("gates", Text("all open", style="green")))
    lines += [(each.kind.replace("_", " "), f"{minute(each.at)} {each.actor}: {each.reason}") for each in reviews]
    return lines


def _run_page(version: "ModelVersion", dagster: str | None) -> str | None:
    """Return the page of the run that trained the version; None if no run did, or without MLOPS_DAGSTER_URL."""
    run = version.lineage.get("dagster_run")
    return run_page(dagster, run) if dagster and run else None


def _some(names: Sequence[str]) -> str:
    """Those that a person reads, and how many more there are: `--json` has them all."""
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more:,} more" if more > 0 else "")


def _task(version: "ModelVersion") -> list[tuple[str, str]]:
    if version.schema is None:
        return [("task", NONE)]
    return [(name, _some(values)) for name, values in version.schema.task.describe().items()]


def _missing(version: "ModelVersion") -> tuple[str, ...]:
    from mlops_dagster.registry import ModelCard

    return (version.card or ModelCard()).missing()


def _can_prove(version: "ModelVersion") -> list[str]:
    """Return the losses that the daily checks can prove of the version, from its card; empty if it has no forecast."""
    found = version.card.provable if version.card is not None else None
    return [] if found is None else list(found.lines)


def _card(version: "ModelVersion") -> str:
    if version.card is None:
        return NONE
    missing = version.card.missing()
    return f"without {', '.join(missing)}" if missing else "complete"


def _listed(values: Mapping[str, str]) -> str:
    return ", ".join(f"{name}={value}" for name, value in values.items()) or NONE
