"""Links to pages outside of the board: Dagster's, and the runbooks of the documentation."""

from mlops_dagster.alerting import FLEET
from mlops_dagster.board.snapshot.view import View
from mlops_dagster.dagster_pages import asset_page, run_page


def asset(view: View, model: str, name: str) -> str | None:
    """Return the page of a model's asset; None without MLOPS_DAGSTER_URL, and for the platform."""
    dagster = view.stores.settings.dagster_url
    return None if dagster is None or model == FLEET else asset_page(dagster, model, name)


def run(view: View, run_id: str | None) -> str | None:
    """Return the page of a Dagster run; None without MLOPS_DAGSTER_URL, or without a run."""
    dagster = view.stores.settings.dagster_url
    return None if dagster is None or not run_id else run_page(dagster, run_id)


def runbook(view: View, rule: str) -> str | None:
    """Return the runbook of a rule; None without MLOPS_DOCS_URL."""
    docs = view.stores.settings.docs_url
    return None if docs is None else f"{docs}/runbooks/{rule}.html"
