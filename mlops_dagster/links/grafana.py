"""Addresses of our dashboards in Grafana."""

from urllib.parse import urlencode


def uid_of(dashboard: str) -> str:
    """Return the id of a dashboard, which its address has.

    >>> uid_of("rollout")
    'mlops-rollout'
    """
    return f"mlops-{dashboard}"


def dashboard_page(grafana: str, dashboard: str, since: str, until: str, variables: dict[str, str]) -> str:
    """Return the address of a dashboard (fleet, model, rollout, drift, plane); `grafana` is MLOPS_GRAFANA_URL.

    `since` and `until` are times as Grafana reads them: relative ones, or milliseconds since 1970.

    >>> dashboard_page("https://grafana.example.com", "drift", "now-24h", "now", {"model": "flights-delay"})
    'https://grafana.example.com/d/mlops-drift?var-model=flights-delay&from=now-24h&to=now'
    """
    named = {f"var-{name}": value for name, value in variables.items()}
    return f"{grafana}/d/{uid_of(dashboard)}?{urlencode({**named, 'from': since, 'to': until})}"
