"""Design effects: the number of rows that count as one observation, since rows of one day share causes."""

from collections.abc import Iterable, Sequence

from mlops_dagster.registry import PAIRED, ModelVersion
from mlops_dagster.rollout.policy import RolloutPolicy
from mlops_dagster.statistics import DesignEffect

UNKNOWN = (
    "how many rows of a day count as one is unknown: neither {version} nor a version before it was judged beside a "
    "champion over days; train it here, or state `rollout.rows_per_observation`"
)
"""The reason for being inconclusive without that number."""


def shared_causes(version: ModelVersion, others: Sequence[ModelVersion] = ()) -> DesignEffect | None:
    """Return the design effect of the version's difference to the champion, as evaluated by days; None if unknown.

    For a version without one it is that of the newest of `others`, in order of registration: versions of one model, on
    the same traffic. The days of the rollout itself show whether it holds.
    """
    known = (each.baseline.design_effects.get(PAIRED) for each in (version, *reversed(others)) if each.baseline)
    return next((effect for effect in known if effect is not None), None)


def rows_per_observation(
    policy: RolloutPolicy, shared: Iterable[DesignEffect | None], rows_per_day: float
) -> float | None:
    """Return the number the policy states; else the highest an evaluation shows at this traffic; None if none does.

    >>> rows_per_observation(RolloutPolicy(rows_per_observation=3), [None, DesignEffect(rows=5.0)], 1_000)
    3.0
    >>> rows_per_observation(RolloutPolicy(), [None], 1_000) is None
    True
    """
    if policy.rows_per_observation is not None:
        return policy.rows_per_observation
    return max((each.at(rows_per_day).of_many_blocks for each in shared if each is not None), default=None)
