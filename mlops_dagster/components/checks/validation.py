"""The pages of validations, and the links to them."""

from collections.abc import Mapping
from datetime import datetime

import dagster as dg

from mlops_dagster.components.views.links import back_to, link_of
from mlops_dagster.errors import told
from mlops_dagster.loop.spec import ModelSpec
from mlops_dagster.monitoring import ValidationResult
from mlops_dagster.monitoring.pages.data_docs import publish
from mlops_dagster.stores import Stores


def data_docs(
    context: dg.AssetExecutionContext,
    stores: Stores,
    name: str,
    result: ValidationResult,
    *,
    source: str | None,
    replace: bool = False,
) -> dict[str, dg.MetadataValue]:
    """Publish the page of a validation and return its metadata: the link to the page, which links to `source`.

    The page is for people to look at: if making it fails, the validation counts all the same.
    """
    try:
        link = publish(stores.data_docs, name, result, source=source, replace=replace)
    except Exception as error:
        context.log.error(f"the validation has no page ({told(error)}); materialize it again")
        return {"data_docs": dg.MetadataValue.text(f"not made: {told(error)}")}
    if link is None:
        return {}
    return {"data_docs": link_of(link)}


def pages_of_hours(
    context: dg.AssetExecutionContext, stores: Stores, spec: ModelSpec, found: Mapping[datetime, ValidationResult]
) -> dict[datetime, dict[str, dg.MetadataValue]]:
    """Return the link to the page of each hour; an hour that failed or is in doubt has a separate page.

    The clean hours of a day share one page, which shows the newest of them: so the number of pages grows with the
    number of faults, and not with the hours.
    """
    pages: dict[str, dict[str, dg.MetadataValue]] = {}
    names: dict[datetime, str] = {}
    for hour, result in sorted(found.items(), reverse=True):
        clean = result.passed and not result.doubts
        names[hour] = name = f"{spec.model}/prediction_batch/{hour:%Y-%m-%d}{'-clean' if clean else f'T{hour:%H}'}"
        if name not in pages:
            source = back_to(stores, spec, "prediction_batch", f"{hour:%Y-%m-%d-%H:%M}")
            pages[name] = data_docs(context, stores, name, result, source=source, replace=clean)
    return {hour: pages[name] for hour, name in names.items()}
