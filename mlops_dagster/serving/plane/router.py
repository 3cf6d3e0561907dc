"""Which version answers a request: a function of the deployment and the routing key."""

from hashlib import blake2b
from typing import NamedTuple

from mlops_dagster.errors import VersionNotFoundError
from mlops_dagster.predictions import Role
from mlops_dagster.registry import Deployment


class Route(NamedTuple):
    """The version that answers, in which role, and how likely it was to be the one."""

    version: str
    role: Role
    weight: float


def choose(deployment: Deployment, key: str) -> Route:
    """Deal `key` to the canary with probability `canary_weight`, else to the champion.

    A key stays in its arm while the salt stays; a higher weight moves keys to the canary and none back.
    Raises VersionNotFoundError where there is no champion.
    """
    if deployment.canary is not None and position(deployment.salt, key) < deployment.canary_weight:
        return Route(deployment.canary, "canary", deployment.canary_weight)
    if deployment.champion is None:
        raise VersionNotFoundError(f"model {deployment.model!r} has no champion; promote a version to Production")
    return Route(
        deployment.champion, "champion", 1 - deployment.canary_weight if deployment.canary is not None else 1.0
    )


def position(salt: str, key: str) -> float:
    """Where a key lies in [0, 1): uniform over keys, and dealt anew with each salt.

    >>> position("first rollout", "customer 7") == position("first rollout", "customer 7")
    True
    >>> position("first rollout", "customer 7") == position("second rollout", "customer 7")
    False
    """
    digest = blake2b(key.encode(), digest_size=8, key=blake2b(salt.encode(), digest_size=16).digest()).digest()
    # The top 53 bits: all that a float in [0, 1) can tell apart.
    return (int.from_bytes(digest, "big") >> 11) / 2**53
