"""`mlops`: serve, look, and act by hand. Errors end with exit code 1 and their stable code."""

import sys
from collections.abc import Callable, Iterable
from datetime import datetime
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ParamSpec, TypeVar

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from mlops_dagster.errors import MlopsError
from mlops_dagster.settings import Settings

if TYPE_CHECKING:
    from mlops_dagster.wiring import House

P = ParamSpec("P")
R = TypeVar("R")

app = typer.Typer(
    no_args_is_help=True, pretty_exceptions_enable=False, help="The closed loop of production ML, on Dagster."
)
models = typer.Typer(no_args_is_help=True, help="Versions, and who serves.")
rollouts = typer.Typer(no_args_is_help=True, help="Challengers on their way to all traffic, or out.")
predictions = typer.Typer(no_args_is_help=True, help="The prediction log.")
audit = typer.Typer(no_args_is_help=True, help="The history of deployments.")
for name, group in (("models", models), ("rollouts", rollouts), ("predictions", predictions), ("audit", audit)):
    app.add_typer(group, name=name)

Model = Annotated[str, typer.Argument(help="name of the model, e.g. flights-delay")]
Reason = Annotated[str, typer.Option(help="why; it is kept for ever")]


def _speaks(command: Callable[P, R]) -> Callable[P, R]:
    """Print an error of ours as one line, with its code, instead of a traceback."""

    @wraps(command)
    def speaking(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except MlopsError as error:
            Console(stderr=True, soft_wrap=True).print(f"[red]error[/red] ({error.code}): ", end="")
            Console(stderr=True, soft_wrap=True).print(str(error), markup=False, highlight=False)
            raise typer.Exit(1) from error

    return speaking


@app.command()
@_speaks
def serve() -> None:
    """Run the data plane: Open Inference Protocol v2 on MLOPS_HOST and MLOPS_PORT, until SIGTERM."""
    from mlops_dagster.serving.server import run

    run(Settings())


@app.command()
@_speaks
def dev() -> None:
    """Run the Dagster UI, its daemon and the data plane; Ctrl-C ends all three."""
    from mlops_dagster.dev import run_together

    sys.exit(run_together([["dagster", "dev", "-w", "workspace.yaml"], ["mlops", "serve"]]))


@app.command()
@_speaks
def rehearse(
    home: Annotated[Path, typer.Option(help="where it keeps everything; made anew")] = Path(".mlops/demo"),
    start: Annotated[datetime, typer.Option(help="first day, UTC")] = datetime(2013, 3, 1),  # noqa: DTZ001  # typer makes naive ones
    until: Annotated[datetime, typer.Option(help="day after the last, UTC")] = datetime(2013, 5, 11),  # noqa: DTZ001
) -> None:
    """Rehearse the life of a model over the recorded NYC flights of 2013, with a simulated clock."""
    from datetime import UTC

    from mlops_dagster.rehearsal import Scenario
    from mlops_dagster.rehearsal import rehearse as run

    run(Scenario(start=start.replace(tzinfo=UTC), until=until.replace(tzinfo=UTC)), home)


@models.command("list")
@_speaks
def list_models() -> None:
    """Every version: its stage, its share of the traffic, its accuracy, its bytes."""
    registry = _house().registry
    rows = []
    for model in registry.models():
        deployed = registry.deployment(model)
        for version in registry.list(model):
            traffic = "-"
            if version.version == deployed.champion:
                traffic = f"{1 - deployed.canary_weight:.0%} traffic"
            elif version.version == deployed.canary:
                traffic = f"{deployed.canary_weight:.0%} traffic"
            elif version.version in deployed.shadows:
                traffic = "logs only"
            accuracy = version.metrics.get("accuracy")
            rows.append(
                (
                    model,
                    version.version,
                    f"{version.created_at:%Y-%m-%d}",
                    "-" if accuracy is None else f"{accuracy:.4f}",
                    version.stage.value,
                    traffic,
                    version.digest[:12],
                )
            )
    _table(("model", "version", "registered", "accuracy", "stage", "deployment", "digest"), rows)


@models.command("history")
@_speaks
def model_history(model: Model) -> None:
    """Every change of a model, oldest first."""
    rows = [
        (
            f"{event.at:%Y-%m-%d %H:%M}",
            event.kind,
            event.version or "-",
            event.to_stage.value if event.to_stage else "-",
            event.actor,
            event.reason,
        )
        for event in _house().registry.history(model)
    ]
    _table(("at (UTC)", "event", "version", "stage", "actor", "reason"), rows)


@models.command("rollback")
@_speaks
def roll_back(
    model: Model,
    reason: Reason,
    to: Annotated[str | None, typer.Option(help="a version; else the champion before")] = None,
) -> None:
    """Give the traffic back to the champion before, and end a running canary."""
    registry = _house().registry
    # Naming the bad one: if somebody else is quicker, this changes nothing instead of going back one more.
    deployed = registry.rollback(model, reason=reason, to=to, bad=registry.deployment(model).champion)
    Console().print(f"{model}: champion is {deployed.champion}, epoch {deployed.epoch}")


@rollouts.command("list")
@_speaks
def list_rollouts(model: Annotated[str | None, typer.Argument(help="only this model's")] = None) -> None:
    """Every rollout: where it stands and why."""
    rows = [
        (
            str(rollout.id),
            rollout.model,
            rollout.challenger,
            rollout.phase.value + (" (paused)" if rollout.paused else ""),
            f"{rollout.weight:.0%}",
            f"{rollout.started_at:%Y-%m-%d %H:%M}",
            rollout.reason,
        )
        for rollout in _house().rollouts.list(model)
    ]
    _table(("id", "model", "challenger", "phase", "weight", "started (UTC)", "reason"), rows)


@rollouts.command()
@_speaks
def pause(model: Model) -> None:
    """Stop the running rollout where it is: it still rolls back on proof, but never advances."""
    _house().rollouts.pause(model)


@rollouts.command()
@_speaks
def resume(model: Model) -> None:
    """Let a paused rollout go on."""
    _house().rollouts.resume(model)


@predictions.command("audit")
@_speaks
def audit_predictions() -> None:
    """Prove that every answered prediction is in the spool or the log; exit code 1 if any is missing."""
    from mlops_dagster.predictions import audit as check

    house = _house()
    report = check(house.spool, house.log)
    _table(
        ("answered", "logged", "spooled", "gaps"),
        [tuple(map(str, (report.answered, report.logged, report.spooled, len(report.gaps))))],
    )
    if not report.complete:
        raise typer.Exit(1)


@audit.command()
@_speaks
def verify() -> None:
    """Check the hash chain over all events; exit code 1 names the first row that is not as it was written."""
    head = _house().registry.audit()
    Console().print(f"{head.events} events, unbroken; head {head.hash}")


def _house() -> "House":
    from mlops_dagster.wiring import House

    return House(Settings())


def _table(columns: Iterable[str], rows: Iterable[Iterable[str]]) -> None:
    table = Table(*columns, box=SIMPLE_HEAD)
    for row in rows:
        table.add_row(*row)
    # Into a pipe or a file nothing is cut off.
    Console(width=None if sys.stdout.isatty() else 200).print(table)


if __name__ == "__main__":
    app()
