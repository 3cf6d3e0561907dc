"""Pages and files for people to look at: data docs of validations, whylogs profiles, Evidently reports.

If making one fails, the judgement counts all the same, and its entry says why it was not made.
"""

import hashlib
import logging
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from mlops_dagster.documents.texts import counted
from mlops_dagster.errors import told
from mlops_dagster.links.dagster import asset_page
from mlops_dagster.loop.judging.findings import HourOfDrift
from mlops_dagster.loop.shown.entries import Entries, FileLink, PageLink
from mlops_dagster.loop.spec import ModelSpec
from mlops_dagster.monitoring import ValidationResult
from mlops_dagster.monitoring.pages.data_docs import publish
from mlops_dagster.monitoring.pages.evidently_reports import publish_report
from mlops_dagster.monitoring.pages.whylogs_profiles import profile_hours
from mlops_dagster.reports import HOUR, Report
from mlops_dagster.stores import Stores

logger = logging.getLogger(__name__)


def log_of(stores: Stores, spec: ModelSpec) -> Entries:
    """Return the Delta table of the model's predictions: a folder, or s3://bucket/prefix."""
    return {"log": FileLink(stores.log.place.table(f"predictions/{spec.model}", options=False).uri, opens=False)}


def not_the_newest(stores: Stores, spec: ModelSpec, asset: str, last: str, newest: str) -> Entries:
    """Return a note for a report if a newer one exists already, by the names of their partitions, which sort by time.

    The orchestrator shows the report that was made last: after catching up that is an old hour, and after late labels
    an old day.
    """
    if last >= newest:
        return {}
    within = urlsplit(stores.settings.dagster_url or "").path  # Dagster may be served below a path
    return {
        "not_the_newest": f"made late or again; the newest one is of {newest}",
        "newest": PageLink(asset_page(within, spec.model, asset, newest)),
    }


def page_of_validation(
    stores: Stores,
    spec: ModelSpec,
    asset: str,
    name: str,
    result: ValidationResult,
    *,
    partition: str = "",
    replace: bool = False,
) -> Entries:
    """Publish the page of a validation; return the link to the page, or nothing if there was nothing to validate.

    Args:
        stores: the stores.
        spec: the model.
        asset: the asset that was validated, to which the page links back.
        name: the name of the page among those of the asset.
        result: the validation.
        partition: the partition of the asset.
        replace: whether the page replaces an earlier one of its name.
    """
    source = _back_to(stores, spec, asset, partition)
    return _page(
        "data_docs",
        lambda: publish(stores.data_docs, f"{spec.model}/{asset}/{name}", result, source=source, replace=replace),
    )


def pages_of_hours(
    stores: Stores, spec: ModelSpec, found: Mapping[datetime, ValidationResult]
) -> dict[datetime, Entries]:
    """Return the link to the page of each hour; an hour that failed or is in doubt has a separate page.

    The clean hours of a day share one page, which shows the newest of them: so the number of pages grows with the
    number of faults, and not with the hours.
    """
    pages: dict[str, Entries] = {}
    names: dict[datetime, str] = {}
    for hour, result in sorted(found.items(), reverse=True):
        clean = result.passed and not result.doubts
        names[hour] = name = f"{hour:%Y-%m-%d}{'-clean' if clean else f'T{hour:%H}'}"
        if name not in pages:
            partition = f"{hour:%Y-%m-%d-%H:%M}"
            pages[name] = page_of_validation(
                stores, spec, "prediction_batch", name, result, partition=partition, replace=clean
            )
    return {hour: pages[name] for hour, name in names.items()}


def profiles_of_hours(
    stores: Stores, model: str, since: datetime, until: datetime
) -> tuple[Mapping[datetime, list[str]], str]:
    """Make the whylogs profiles of each hour; return their addresses by hour, and a text on all of them."""
    try:
        found = profile_hours(stores.log, model, since, until, stores.profiles)
    except Exception as error:
        return {}, _not_made("whylogs profiles", error)
    return found, counted(sum(map(len, found.values())), "files")


def evidently_page(stores: Stores, spec: ModelSpec, hour: Report[HourOfDrift], partition: str) -> Entries:
    """Return the link to the Evidently report of the window that ends with an hour; nothing without a champion.

    A page takes seconds of the processor: hours in which nothing moved have one a day.
    """
    champion, drift, rows = hour.champion, hour.content.drift, stores.settings.report_rows
    if champion is None or drift is None or not rows:
        return {}
    if not is_drawn(spec.model, hour.start, drift.moved):
        return {"evidently": "not drawn: nothing moved; such hours have one page a day"}
    until = hour.start + HOUR

    def draw() -> str | None:
        return publish_report(
            stores.log,
            stores.registry.get(spec.model, champion),
            drift,
            until - timedelta(hours=spec.drift.window_hours),
            until,
            rows=rows,
            files=stores.report_pages,
            source=_back_to(stores, spec, "drift_report", partition),
        )

    return _page("evidently", draw) or {"evidently": "not made: the log has no rows of the window"}


def is_drawn(model: str, hour: datetime, moved: bool) -> bool:
    """Return whether an hour has an Evidently report: something moved, or it is the model's hour of the day.

    That hour follows from the model's name, so a fleet does not draw the pages of all models at once.

    >>> midnight = datetime(2026, 3, 1)
    >>> [each for each in range(24) if is_drawn("shop", midnight.replace(hour=each), moved=False)]
    [21]
    >>> is_drawn("shop", midnight, moved=True)
    True
    """
    return moved or hour.hour == hashlib.sha256(model.encode()).digest()[0] % 24


def _page(entry: str, draw: Callable[[], str | None]) -> Entries:
    try:
        place = draw()
    except Exception as error:
        return {entry: _not_made(entry, error)}
    return {} if place is None else {entry: FileLink(place)}


def _not_made(what: str, error: Exception) -> str:
    logger.error("%s: not made (%s); materialize it again", what, told(error))
    return f"not made: {told(error)}"


def _back_to(stores: Stores, spec: ModelSpec, asset: str, partition: str) -> str | None:
    """Return the page of an asset for a file to link to; None without MLOPS_DAGSTER_URL."""
    ui = stores.settings.dagster_url
    return None if ui is None else asset_page(ui, spec.model, asset, partition)
