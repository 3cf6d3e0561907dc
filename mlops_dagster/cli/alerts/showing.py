"""`mlops alerts show`: one alert, with every event of its life."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from mlops_dagster.cli.alerts.listing import alert_document, rule_of, state_of
from mlops_dagster.cli.arguments import Json
from mlops_dagster.cli.output import NONE, facts, hint, minute, print_json, table, title
from mlops_dagster.cli.running import open_stores
from mlops_dagster.documents.texts import counted

if TYPE_CHECKING:
    from mlops_dagster.alerting import Alert, Reading

AlertNumber = Annotated[
    int, typer.Argument(metavar="ALERT", help="number of the alert, as `mlops alerts list` shows it")
]


def show(alert: AlertNumber, json: Json = False) -> None:
    """Show an alert: the value and its limit, what was done, and what happened to it since."""
    alerts = open_stores().alerts
    found = alerts.get(alert)
    events = alerts.events(alert_id=alert)
    if json:
        steps = [{name: value for name, value in asdict(each).items() if name != "alert"} for each in events]
        print_json({**alert_document(found), "events": steps})
        return
    facts(_facts(found))
    title("events")
    table(
        ("at (UTC)", "event", "severity", "by", "what"),
        [(minute(each.at), each.kind.value, each.severity.value, each.actor, each.summary) for each in events],
    )
    hint(f"what to do: {found.runbook} in the documentation")


def _facts(alert: "Alert") -> list[tuple[str, str]]:
    acknowledged = alert.acknowledged
    return [
        ("alert", f"{alert.id}, {alert.severity}, {rule_of(alert)} of {alert.model}"),
        ("version", alert.version or NONE),
        ("state", state_of(alert)),
        ("what", alert.summary),
        ("value", NONE if alert.reading is None else _value(alert.reading)),
        ("since (UTC)", minute(alert.since or alert.opened_at)),
        ("opened (UTC)", f"{minute(alert.opened_at)}, and {counted(alert.flaps, 'times')} in the week before"),
        ("last seen (UTC)", f"{minute(alert.last_seen_at)}, {counted(alert.times, 'times')} in all"),
        ("done", alert.done or NONE),
        ("acknowledged", NONE if acknowledged is None else f"by {acknowledged.by}: {acknowledged.reason}"),
        ("resolution", alert.resolution or NONE),
        ("key", alert.key),
    ]


def _value(reading: "Reading") -> str:
    interval = None if reading.low is None or reading.high is None else f"{reading.low:.4g} to {reading.high:.4g}"
    samples = None if reading.samples is None else counted(reading.samples, reading.counted or "samples")
    limit = None if reading.limit is None else f"limit {reading.limit:.4g}"
    value = " ".join(filter(None, (f"{reading.value:.4g}", reading.unit)))
    return ", ".join(filter(None, (value, interval, samples, limit)))
