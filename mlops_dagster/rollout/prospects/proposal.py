"""Proposal of a rollout policy for a traffic: the defaults, with the changes needed for promotions."""

from math import ceil, floor
from typing import Final

from mlops_dagster.errors import InvalidPolicyError
from mlops_dagster.rollout.policy import RolloutPolicy
from mlops_dagster.rollout.prospects.prospects import Traffic, least_hours

_DEFAULTS: Final = RolloutPolicy()
_SOON_HOURS: Final = 24
_LABELS_OF_A_PROOF: Final = 1500
"""More labels than a version with the champion's own answers needs to be proven no worse, by the default margin."""
_WEEKS: Final = (1, 2, 4, 8, 16, 32, 52)


def propose_policy(traffic: Traffic, rows_per_observation: float) -> RolloutPolicy:
    """Return the default policy with the least changes under which a version can be promoted at this traffic.

    `rows_per_observation` is stated: it is estimated only from the second version on, and until then no rollout ends.
    The changed fields are the policy's `model_fields_set`. The first step takes a day at most: a canary of a small
    share must not wait weeks for its requests, as both versions score the others as well. Raises InvalidPolicyError if
    nothing can be proven within a year.

    >>> propose_policy(Traffic(requests_per_day=50_000), 1).model_fields_set
    {'rows_per_observation'}
    >>> propose_policy(Traffic(requests_per_day=900), 1).min_step_requests
    9
    """
    a_day = traffic.requests_per_day
    steps = tuple(step for step in _DEFAULTS.steps if step * a_day >= 1) or _DEFAULTS.steps[-1:]
    wanted: dict[str, object] = {
        "steps": steps,
        "min_shadow_requests": _within_a_day(a_day, _DEFAULTS.min_shadow_requests),
        "min_step_requests": _within_a_day(a_day * steps[0], _DEFAULTS.min_step_requests),
    }
    wanted["rows_per_observation"] = rows_per_observation
    if traffic.label_delay_hours > _SOON_HOURS:
        wanted |= {"labels": "late", "label_hours": ceil(traffic.label_delay_hours)}
    wanted["deadline_hours"] = _deadline_hours(_DEFAULTS.model_copy(update=wanted), traffic)
    return RolloutPolicy.model_validate(
        {name: value for name, value in wanted.items() if value != getattr(_DEFAULTS, name)}
    )


def _deadline_hours(policy: RolloutPolicy, traffic: Traffic) -> float:
    """Return whole weeks, in hours, that are enough for all steps and the labels of a proof."""
    needed = least_hours(policy, traffic)
    labels = _LABELS_OF_A_PROOF * (policy.rows_per_observation or 1)
    proof = traffic.label_delay_hours + labels / traffic.requests_per_day * 24
    hours = next((168.0 * weeks for weeks in _WEEKS if 168 * weeks > max(needed.total, proof)), None)
    if hours is None:
        raise InvalidPolicyError(
            f"nothing can be proven within a year with {traffic.requests_per_day:g} requests a day and labels "
            f"{traffic.label_delay_hours:g} hours late: {needed.arithmetic}; promote by hand, with approvers"
        )
    return hours


def _within_a_day(a_day: float, most: int) -> int:
    return max(1, min(most, floor(a_day)))
