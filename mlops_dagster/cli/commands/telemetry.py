"""`mlops telemetry`: rules for Prometheus and dashboards for Grafana."""

from pathlib import Path
from typing import Annotated

import typer

from mlops_dagster.cli.output import say
from mlops_dagster.cli.running import registry, settings, speaks
from mlops_dagster.errors import ConflictError

telemetry = typer.Typer(no_args_is_help=True, help="Rules for Prometheus and dashboards for Grafana.")


@telemetry.command()
@speaks
def rules() -> None:
    """Print Prometheus' rules: recordings, the objectives of each model by its published policies, and alerts.

    The links to runbooks begin with MLOPS_DOCS_URL.
    """
    from mlops_dagster.alerting.slo import SloPolicy
    from mlops_dagster.serving.telemetry.prometheus.rules import rules_file

    found = registry()
    policies = {model: found.policies(model).section("slo", SloPolicy) for model in found.models()}
    typer.echo(rules_file(policies, settings().docs_url), nl=False)


@telemetry.command()
@speaks
def dashboards(
    folder: Annotated[Path, typer.Argument(help="where the JSON files are, or are written")] = Path("deploy/grafana"),
    check: Annotated[bool, typer.Option("--check", help="write nothing; exit code 1 if a file is not as made")] = False,
) -> None:
    """Write Grafana's dashboards as JSON: fleet, model, rollout, drift and plane.

    They are in `deploy/grafana` of the repository; making them anew needs grafana-foundation-sdk, of the extra `dev`.
    """
    from mlops_dagster.serving.telemetry.grafana.dashboards import all_dashboards

    made = {folder / f"{name}.json": text for name, text in all_dashboards().items()}
    if check:
        stale = [str(path) for path, text in made.items() if not path.exists() or path.read_text() != text]
        if stale:
            raise ConflictError(f"not as made: {', '.join(stale)}; run `mlops telemetry dashboards`")
        return
    folder.mkdir(parents=True, exist_ok=True)
    for path, text in made.items():
        path.write_text(text)
        say(f"{path}")
