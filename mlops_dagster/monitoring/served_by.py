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
        reigning = [registry.as_of(model, at).champion for at in (since, until)]
    except ModelNotFoundError:  # no version of the model is registered yet
        return None
    requests: dict[str, int] = {}
    for each in rollups.events(model, since, until):
        if each.role == "champion":
            requests[each.version] = requests.get(each.version, 0) + each.counts.requests
    name = reigning[-1]
    if requests and not requests.keys() & set(reigning):
        name = max(requests, key=lambda version: requests[version])
    return None if name is None else registry.get(model, name)
