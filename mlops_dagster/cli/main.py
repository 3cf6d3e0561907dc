"""The program `mlops`: its groups of commands, and the commands that run servers, backups and rehearsals."""

import sys
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from mlops_dagster.cli.alerts import alerts
from mlops_dagster.cli.commands.artifacts import artifacts
from mlops_dagster.cli.commands.audit import audit
from mlops_dagster.cli.commands.board import board
from mlops_dagster.cli.commands.catalogue import catalogue
from mlops_dagster.cli.commands.drift import drift
from mlops_dagster.cli.commands.new import new
from mlops_dagster.cli.commands.policies import policies
from mlops_dagster.cli.commands.reports import reports
from mlops_dagster.cli.commands.telemetry import telemetry
from mlops_dagster.cli.commands.tokens import tokens
from mlops_dagster.cli.commands.trainer import trainer
from mlops_dagster.cli.commands.validation import validation
from mlops_dagster.cli.models import models
from mlops_dagster.cli.output import hint, say
from mlops_dagster.cli.predictions.log import predictions
from mlops_dagster.cli.retention import retention
from mlops_dagster.cli.rollouts import rollouts
from mlops_dagster.cli.running import sections_of, settings, speaks
from mlops_dagster.documents.texts import counted
from mlops_dagster.storage.home import make_writable

_UI_PORT = 3000

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="The closed loop of production ML, on Dagster.",
    epilog="Exit codes: 0 done; 1 refused or failed, with a stable code on stderr; 2 the command line itself is wrong.",
)
_GROUPS = {
    "models": models,
    "rollouts": rollouts,
    "alerts": alerts,
    "predictions": predictions,
    "policies": policies,
    "reports": reports,
    "retention": retention,
    "trainer": trainer,
    "validation": validation,
    "artifacts": artifacts,
    "catalogue": catalogue,
    "audit": audit,
    "telemetry": telemetry,
    "tokens": tokens,
}
for name, group in _GROUPS.items():
    app.add_typer(group, name=name)
app.command()(new)
app.command()(speaks(drift))
app.command()(speaks(board))


@app.command()
@speaks
def serve(
    workers: Annotated[
        int | None, typer.Option(help="number of worker processes; else MLOPS_WORKERS", min=1, max=64)
    ] = None,
) -> None:
    """Run the data plane: Open Inference Protocol v2 on MLOPS_HOST and MLOPS_PORT, until SIGTERM."""
    from mlops_dagster.serving.processes.supervisor import run

    chosen = settings()
    run(chosen if workers is None else chosen.model_copy(update={"workers": workers}))


@app.command()
@speaks
def dev(
    port: Annotated[int | None, typer.Option(help="port of the data plane; else MLOPS_PORT", min=1, max=65535)] = None,
    ui_port: Annotated[
        int | None, typer.Option(help="port of the Dagster UI; else 3000, or a free one", min=1, max=65535)
    ] = None,
    board_port: Annotated[
        int | None, typer.Option(help="port of the control room; else MLOPS_BOARD_PORT", min=1, max=65535)
    ] = None,
) -> None:
    """Run the Dagster UI, its daemon, the data plane and the control room; Ctrl-C ends all of them.

    Dagster's instance is in DAGSTER_HOME, or else in `dagster` of the home; without a dagster.yaml, a default one is
    written.
    """
    from mlops_dagster.dev import dagster_home, free_port, run_together
    from mlops_dagster.extras import require
    from mlops_dagster.serving.processes.home_lock import only_server

    require("dagster", "`mlops dev`")
    chosen = settings()
    make_writable(chosen.home)
    with only_server(chosen):
        pass  # a second data plane on the home is refused before Dagster starts, which takes seconds
    ui_port = ui_port or free_port(_UI_PORT)
    dagster = ["dagster", "dev", "-w", "workspace.yaml", "-p", str(ui_port)]
    variables = {"DAGSTER_HOME": str(dagster_home(chosen.home))}
    if port is not None:
        variables["MLOPS_PORT"] = str(port)
    if chosen.dagster_url is None:
        variables["MLOPS_DAGSTER_URL"] = f"http://127.0.0.1:{ui_port}"
    if board_port is not None:
        variables["MLOPS_BOARD_PORT"] = str(board_port)
    if chosen.board_url is None:
        variables["MLOPS_BOARD_URL"] = f"http://127.0.0.1:{board_port or chosen.board_port}"
    sys.exit(run_together([dagster, ["mlops", "serve"], ["mlops", "board"]], variables))


@app.command()
@speaks
def backup(target: Annotated[Path, typer.Argument(help="a new folder, to be used as a home itself")]) -> None:
    """Copy the home while it is in use, with a dump of PostgreSQL if the settings name a database (needs pg_dump).

    To restore, set MLOPS_HOME to the copy, or put it in the home's place; `pg_restore` fills a new database.
    """
    from mlops_dagster.backup import back_up

    chosen = settings()
    say(f"{counted(back_up(chosen.home, target, chosen.database_url), 'files')} in {target}")
    for setting, url in (("MLOPS_STORAGE_URL", chosen.storage_url), ("MLOPS_LOG_URL", chosen.log_url)):
        if url is not None:
            hint(f"not in it: what is at {setting}; the bucket's own versions or replication keep that")


@app.command()
@speaks
def rehearse(
    model: Annotated[str, typer.Option(help="name of the model in its YAML")],
    requests: Annotated[Path, typer.Option(help="Parquet or CSV: features, event_time, optionally more")],
    labels: Annotated[Path | None, typer.Option(help="Parquet or CSV: prediction_id, label, optional known_at")] = None,
    policy: Annotated[
        Path | None, typer.Option(help="YAML of other policies: the history is replayed with them too")
    ] = None,
    home: Annotated[Path, typer.Option(help="folder of the rehearsal; made anew")] = Path(".mlops/rehearsal"),
    start: Annotated[
        datetime | None, typer.Option(help="start of the traffic, UTC; else the first request's day")
    ] = None,
    until: Annotated[datetime | None, typer.Option(help="end of the traffic, UTC; else after the last request")] = None,
    event_time: Annotated[str, typer.Option(help="column of the requests with their time, with a zone")] = "event_time",
    label: Annotated[str, typer.Option(help="column of the requests with the true class, if it is there")] = "label",
) -> None:
    """Play a model's own history through the real loop, with bad releases, on a simulated clock.

    Run it in the folder of a project: workspace.yaml names the code location that has the model. The columns of the
    tables are listed in docs/how-to/rehearse.md.
    """
    from datetime import UTC

    from mlops_dagster.rehearsal import Scenario, compare
    from mlops_dagster.rehearsal import rehearse as run
    from mlops_dagster.rehearsal.orchestrator.project import find_model
    from mlops_dagster.rehearsal.traffic.files import read_table
    from mlops_dagster.retraining.trainer import load_trainer

    other = None if policy is None else sections_of(policy)
    schema = load_trainer(find_model(model, Path()).spec.trainer).SCHEMA
    scenario = Scenario(
        model=model,
        requests=read_table(requests, schema, event_time=event_time, label=label),
        labels=None if labels is None else read_table(labels, schema),
        start=None if start is None else start.replace(tzinfo=UTC),
        until=None if until is None else until.replace(tzinfo=UTC),
    )
    if other is None:
        run(scenario, home)
    else:
        compare(scenario, other, home)
