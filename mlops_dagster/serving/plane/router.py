"""The router: chooses the version that answers a request, as a function of the deployment and the routing key."""

from hashlib import blake2b
from typing import NamedTuple

from mlops_dagster.errors import VersionNotFoundError
from mlops_dagster.predictions import Role
from mlops_dagster.registry import Deployment


class Route(NamedTuple):
    """The version that answers, its role, and the probability with which it was chosen."""

    version: str
    role: Role
    weight: float


def choose(deployment: Deployment, key: str) -> Route:
    """Return the route of `key`: to the canary with probability `canary_weight`, else to the champion.

    A key stays in its arm while the salt stays; a higher weight moves keys to the canary, and none back.
    Raises VersionNotFoundError if the model has no champion.
    """
    if deployment.canary is not None and position(deployment.salt, key) < deployment.canary_weight:
        return Route(deployment.canary, "canary", deployment.canary_weight)
    if deployment.champion is None:
        raise VersionNotFoundError(f"model {deployment.model!r} has no champion; promote a version to Production")
    return Route(
        deployment.champion, "champion", 1 - deployment.canary_weight if deployment.canary is not None else 1.0
    )


def position(salt: str, key: str) -> float:
    """Return the position of a key in [0, 1): uniform over keys, and independent for each salt.

    >>> position("first rollout", "customer 7") == position("first rollout", "customer 7")
    True
    >>> position("first rollout", "customer 7") == position("second rollout", "customer 7")
    False
    """
    digest = blake2b(key.encode(), digest_size=8, key=blake2b(salt.encode(), digest_size=16).digest()).digest()
    # The top 53 bits: as many as a float in [0, 1) can hold.
    return (int.from_bytes(digest, "big") >> 11) / 2**53
