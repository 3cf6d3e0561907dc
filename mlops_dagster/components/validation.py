"""The page of a validation among the metadata of what was validated."""

import dagster as dg

from mlops_dagster.monitoring import ValidationResult
from mlops_dagster.monitoring.data_docs import publish
from mlops_dagster.wiring import House


def data_docs(
    context: dg.AssetExecutionContext, house: House, name: str, result: ValidationResult
) -> dict[str, dg.MetadataValue]:
    """The link to the page; it is for people to look at: whatever becomes of it, the validation counts."""
    try:
        link = publish(house.data_docs, name, result)
    except Exception as error:
        context.log.exception("the validation has no page; materialize it again to make up for it")
        return {"data_docs": dg.MetadataValue.text(f"not made: {error}")}
    if link is None:
        return {}
    return {"data_docs": dg.MetadataValue.url(link) if "://" in link else dg.MetadataValue.path(link)}
