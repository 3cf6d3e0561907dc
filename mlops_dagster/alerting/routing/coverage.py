"""The routes held against the models that there are: owners that no model has, and models that no route names."""

from collections.abc import Collection, Mapping, Sequence

from mlops_dagster.alerting.alert import Severity
from mlops_dagster.alerting.routing.routing import Routing

_NAMED = 5


def gaps(routing: Routing, owners: Mapping[str, Collection[str]]) -> Sequence[str]:
    """Return a sentence for each route without a model, and for the models that are told otherwise than one may think.

    They are no errors: a model may be registered later, and the last route is for all others. `owners` are those of
    each registered model.
    """
    known = {owner for its in owners.values() for owner in its}
    named = [route.owner for route in routing.routes if route.owner is not None]
    found = [f"no model has the owner {owner} that a route names" for owner in named if owner not in known]
    others = sorted(model for model, its in owners.items() if its and named and not set(its) & set(named))
    if others:
        found.append(f"no route names an owner of {_list(others)}: the last route tells of them")
    untold = sorted(model for model, its in owners.items() if not routing.channels_for(its, Severity.CRITICAL))
    if untold:
        found.append(f"nobody is told of critical alerts about {_list(untold)}: their route names no channel for them")
    return found


def _list(models: Sequence[str]) -> str:
    more = f" and {len(models) - _NAMED} more" if len(models) > _NAMED else ""
    return f"{', '.join(models[:_NAMED])}{more}"
