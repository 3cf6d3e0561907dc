"""Links between Dagster and other places: from Dagster to files and the log, and from files to Dagster's pages."""

import functools
from urllib.parse import quote

import dagster as dg

from mlops_dagster.dagster_pages import asset_page
from mlops_dagster.loop.spec import ModelSpec
from mlops_dagster.settings import Settings
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


def control_room(spec: ModelSpec) -> dict[str, dg.MetadataValue]:
    """Return the link of an asset to its model's page of the control room; empty without MLOPS_BOARD_URL."""
    board = _board()
    return (
        {} if board is None else {"control_room": dg.MetadataValue.url(f"{board}/models/{quote(spec.model, safe='')}")}
    )


@functools.cache
def _board() -> str | None:
    """Return MLOPS_BOARD_URL; it is read once, as a code location may have thousands of assets."""
    return Settings().board_url
