"""Addresses of pages of Dagster's UI: for links from outside the UI, and for single partitions within it."""

from urllib.parse import quote, urlencode


def prefix_of(model: str) -> str:
    """Return a model's name as Dagster allows it in keys.

    >>> prefix_of("flights-delay")
    'flights_delay'
    """
    return model.replace("-", "_")


def run_page(ui: str, run_id: str) -> str:
    """Return the address of a run; `ui` is MLOPS_DAGSTER_URL.

    >>> run_page("https://dagster.example.com", "886cb5fa")
    'https://dagster.example.com/runs/886cb5fa'
    """
    return f"{ui}/runs/{quote(run_id, safe='')}"


def asset_page(ui: str, model: str, asset: str, partition: str = "") -> str:
    """Return the address of one of a model's assets, or of one of its partitions.

    `ui` is MLOPS_DAGSTER_URL; its path alone gives an address for the UI's own pages.

    >>> asset_page("https://dagster.example.com", "flights-delay", "deployment")
    'https://dagster.example.com/assets/flights_delay/deployment'
    >>> asset_page("", "flights-delay", "drift_report", "2013-05-01-05:00")
    '/assets/flights_delay/drift_report?view=partitions&partition=2013-05-01-05%3A00'
    """
    page = f"{ui}/assets/{prefix_of(model)}/{asset}"
    return page if not partition else f"{page}?{urlencode({'view': 'partitions', 'partition': partition})}"
