"""The champion of a window: from the registry, unless the traffic of that time was replayed later."""

from datetime import datetime

from mlops_dagster.errors import ModelNotFoundError
from mlops_dagster.predictions import Rollups
from mlops_dagster.registry import ModelRegistry, ModelVersion


def served_by(
    registry: ModelRegistry, rollups: Rollups, model: str, since: datetime, until: datetime
) -> ModelVersion | None:
    """Return the version that served [since, until) as champion; None if there was none.

    It is the champion at `until`. Where the registry had no champion then, or one that answered no request of the
    window, the requests were replayed when another version was champion: then it is the version that answered most.

    Raises StorageError.
    """
    try:
        champion = registry.as_of(model, until).champion
    except ModelNotFoundError:  # no version of the model is registered yet
        return None
    requests = rollups.champion_requests(model, since, until)
    if requests and champion not in requests and registry.as_of(model, since).champion not in requests:
        champion = max(requests, key=lambda version: requests[version])
    return None if champion is None else registry.get(model, champion)
