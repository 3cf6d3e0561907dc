"""`mlops alerts ack` and `resolve`: what a person says of an alert."""

from mlops_dagster.cli.alerts.listing import alert_document
from mlops_dagster.cli.alerts.showing import AlertNumber
from mlops_dagster.cli.arguments import Json, Reason
from mlops_dagster.cli.output import print_json, say
from mlops_dagster.cli.running import open_stores
from mlops_dagster.errors import ConflictError


def acknowledge(alert: AlertNumber, reason: Reason, json: Json = False) -> None:
    """Say that you work on an alert: it is not repeated, until it is over or becomes critical."""
    found = open_stores().alerts.acknowledge(alert, reason)
    if json:
        print_json(alert_document(found))
    else:
        say(f"alert {found.id} ({found.rule} of {found.model}) is acknowledged until it ends or becomes critical")


def resolve(alert: AlertNumber, reason: Reason, json: Json = False) -> None:
    """End an alert by hand; it opens again if its cause is seen again."""
    from mlops_dagster.alerting import Rule

    stores = open_stores()
    found = stores.alerts.get(alert)
    resolution = f"{reason} ({stores.actor}, by hand)"
    over = stores.alerts.resolve(found.model, Rule(found.rule), resolution, subject=found.subject)
    if over is None or over.id != found.id:
        raise ConflictError(f"alert {alert} ({found.rule} of {found.model}) is resolved: {found.resolution}")
    if json:
        print_json(alert_document(over))
    else:
        say(f"alert {over.id} ({over.rule} of {over.model}) is resolved; it opens again if its cause is seen again")
