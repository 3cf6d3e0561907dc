"""Links to pages outside of the board: Dagster's, dashboards in Grafana, and the runbooks of the documentation."""

from datetime import timedelta
from math import ceil

from mlops_dagster.alerting import FLEET
from mlops_dagster.board.snapshot.view import View
from mlops_dagster.links.dagster import asset_page, run_page
from mlops_dagster.links.grafana import dashboard_page

_HOUR = timedelta(hours=1)


def asset(view: View, model: str, name: str) -> str | None:
    """Return the page of a model's asset; None without MLOPS_DAGSTER_URL, and for the platform."""
    dagster = view.stores.settings.dagster_url
    return None if dagster is None or model == FLEET else asset_page(dagster, model, name)


def run(view: View, run_id: str | None) -> str | None:
    """Return the page of a Dagster run; None without MLOPS_DAGSTER_URL, or without a run."""
    dagster = view.stores.settings.dagster_url
    return None if dagster is None or not run_id else run_page(dagster, run_id)


def grafana(view: View, dashboard: str, back: timedelta, **variables: str) -> str | None:
    """Return a dashboard of the time `back` before the view, in whole hours; None without MLOPS_GRAFANA_URL.

    That of the present goes on: it ends now, whenever it is opened.
    """
    address, hours = view.stores.settings.grafana_url, ceil(back / _HOUR)
    if address is None:
        return None
    if not view.past:
        return dashboard_page(address, dashboard, f"now-{hours}h", "now", variables)
    since, until = (f"{1000 * at.timestamp():.0f}" for at in (view.at - hours * _HOUR, view.at))
    return dashboard_page(address, dashboard, since, until, variables)


def runbook(view: View, rule: str) -> str | None:
    """Return the runbook of a rule; None without MLOPS_DOCS_URL."""
    docs = view.stores.settings.docs_url
    return None if docs is None else f"{docs}/runbooks/{rule}.html"
