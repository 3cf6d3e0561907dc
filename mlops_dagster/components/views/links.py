"""Links between Dagster and other places: from Dagster to files and the log, and from files to Dagster's pages."""

import dagster as dg

from mlops_dagster.dagster_pages import asset_page
from mlops_dagster.loop.spec import ModelSpec
from mlops_dagster.stores import Stores


def link_of(place: str) -> dg.MetadataValue:
    """Return a file as Dagster shows it: an address to open or, since browsers open no local file, a path to copy."""
    return dg.MetadataValue.url(place) if "://" in place else dg.MetadataValue.path(place)


def log_of(stores: Stores, spec: ModelSpec) -> dg.MetadataValue:
    """Return the Delta table of the model's predictions, to copy: a folder, or s3://bucket/prefix."""
    return dg.MetadataValue.path(stores.log.place.table(f"predictions/{spec.model}", options=False).uri)


def back_to(stores: Stores, spec: ModelSpec, asset: str, partition: str = "") -> str | None:
    """Return the page of an asset for a file to link to; None without MLOPS_DAGSTER_URL."""
    ui = stores.settings.dagster_url
    return None if ui is None else asset_page(ui, spec.model, asset, partition)
