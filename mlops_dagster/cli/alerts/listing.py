"""`mlops alerts list`: the open alerts of all models, now or at a time in the past."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from mlops_dagster.cli.arguments import Json, time_of
from mlops_dagster.cli.completion import model_names
from mlops_dagster.cli.output import hint, minute, print_json, right, table
from mlops_dagster.cli.running import open_stores

if TYPE_CHECKING:
    from mlops_dagster.alerting import Alert


def list_alerts(
    model: Annotated[str | None, typer.Argument(help="only this model's", autocompletion=model_names)] = None,
    resolved: Annotated[bool, typer.Option("--all", help="also resolved alerts")] = False,
    at: Annotated[str | None, typer.Option(help="as it was at this time, e.g. 2026-03-01T06:00Z")] = None,
    json: Json = False,
) -> None:
    """List what is wrong and the action taken on it, of the whole fleet or of a model."""
    from mlops_dagster.retention import Kind

    then = time_of(at)
    if then is not None and resolved:
        raise typer.BadParameter("lists what was open then, not --all", param_hint="--at")
    stores = open_stores()
    alerts = stores.alerts
    if then is None:
        found = alerts.list(model, resolved=resolved)
    else:
        stores.retention.check_kept(Kind.ALERTS, then, model)
        found = [each for each in alerts.as_of(then) if model in (None, each.model)]
    if json:
        print_json([alert_document(each) for each in found])
        return
    table(
        (
            right("alert"),
            "severity",
            "model",
            "rule",
            "since (UTC)",
            right("times"),
            "state",
            "what, and what was done",
        ),
        [
            (
                str(each.id),
                each.severity.value,
                each.model,
                rule_of(each),
                minute(each.since or each.opened_at),
                str(each.times),
                state_of(each),
                "; ".join(filter(None, [each.summary, each.done, each.resolution])),
            )
            for each in found
        ],
    )
    for page in sorted({each.runbook for each in found if each.open}):
        hint(f"what to do: {page} in the documentation")


def alert_document(alert: "Alert") -> dict[str, object]:
    """Return the alert as JSON shows it."""
    return {**asdict(alert), "runbook": alert.runbook}


def rule_of(alert: "Alert") -> str:
    """Return the rule, with the subject where the alert has one."""
    return " ".join(filter(None, (alert.rule, alert.subject)))


def state_of(alert: "Alert") -> str:
    """Return "firing", "acknowledged", "muted (by ...)" or the time of the end."""
    if alert.resolved_at is not None:
        return f"over {minute(alert.resolved_at)}"
    if alert.muted_by is not None:
        return f"muted ({alert.muted_by})"
    return "firing" if alert.acknowledged is None else f"acknowledged ({alert.acknowledged.by})"
