"""The check that a rollout policy can promote a version at a traffic, and a proposal: the least changed defaults."""

import json
from math import ceil, floor, inf
from typing import Final

from mlops_dagster.errors import InvalidPolicyError
from mlops_dagster.predictions import PairedCounts
from mlops_dagster.rollout.claims.paired_loss import paired_e_value
from mlops_dagster.rollout.entities import Outcome
from mlops_dagster.rollout.policy import RolloutPolicy
from mlops_dagster.rollout.prospects.prospects import ALIKE, CHALLENGERS, SAME, Shares, Traffic, least_hours, prospect

_DEFAULTS: Final = RolloutPolicy()
_BETTER: Final = (0.2, 0.0)
_SOON_HOURS: Final = 24
_OTHER_ANSWERS: Final = 0.035
"""A version that wins and loses so often is to be proven no worse: what is retrained has other answers on some 7 %."""
_A_LABEL: Final = 1_000_000
"""Counts are whole, so a label of which every stratum has its part is a million."""
_FEWEST, _TRIES = 1500, 140
"""From 1,500 labels, which errors and slow answers take to be proven few, to 900 million in steps of a tenth."""
_MARGINS: Final = (_DEFAULTS.margin, 0.05)
_PATIENT_WEEKS: Final = 8
"""A proof that takes longer is worth a larger margin."""
_WEEKS: Final = (1, 2, 4, _PATIENT_WEEKS, 16, 32, 52)


def check_can_promote(policy: RolloutPolicy, traffic: Traffic, shares: Shares = ALIKE) -> None:
    """Raise InvalidPolicyError if no challenger, however good, would ever be promoted.

    The message has the arithmetic, and a policy that can if there is one. `shares` are those of the strata among the
    labels, as far as they are known.
    """
    why = _why_never(policy, traffic, shares)
    if why is None:
        return
    said = f"no version would ever be promoted by this `rollout`: {why}"
    try:
        other = propose_policy(traffic, policy.rows_per_observation, shares)
    except InvalidPolicyError:
        raise InvalidPolicyError(said) from None
    raise InvalidPolicyError(f"{said}. One that can: {as_yaml(other)}")


def _why_never(policy: RolloutPolicy, traffic: Traffic, shares: Shares) -> str | None:
    if policy.label_hours is not None and traffic.label_delay_hours > policy.label_hours:
        return (
            f"labels come {traffic.label_delay_hours:g} hours late, and rollout.label_hours counts answers from "
            f"{policy.label_hours:g} hours on, most of which have none; set it to {traffic.label_delay_hours:g} or more"
        )
    needed = least_hours(policy, traffic)
    if needed.total >= policy.deadline_hours:
        return (
            f"{needed.arithmetic}, and rollout.deadline_hours is {policy.deadline_hours:g}; set it to more than "
            f"{ceil(needed.total)}, or take fewer steps, or requests or labels a step"
        )
    same = prospect(SAME, CHALLENGERS[SAME], policy, traffic, shares)
    if same.outcome is Outcome.PROMOTE or prospect("", _BETTER, policy, traffic, shares).outcome is Outcome.PROMOTE:
        return None
    return (
        f"with {traffic.requests_per_day:g} requests a day and labels {traffic.label_delay_hours:g} hours late, one "
        f"that gives {same.challenger} as the champion has {same.pairs:,} paired labels after {same.hours:g} hours, "
        f"which end with: {same.reason}; set a later rollout.deadline_hours, a larger margin, or a smaller "
        "rollout.rows_per_observation if that is known"
    )


def least_requests_per_day(policy: RolloutPolicy) -> int:
    """Return the requests a day under which no version is ever promoted, as its steps never end before the deadline.

    >>> least_requests_per_day(RolloutPolicy())
    1841
    """
    few, enough = 0, 1
    while least_hours(policy, Traffic(requests_per_day=enough)).total >= policy.deadline_hours:
        few, enough = enough, 2 * enough
    while enough - few > 1:
        middle = (few + enough) // 2
        late = least_hours(policy, Traffic(requests_per_day=middle)).total >= policy.deadline_hours
        few, enough = (middle, enough) if late else (few, middle)
    return enough


def propose_policy(traffic: Traffic, rows_per_observation: float | None, shares: Shares = ALIKE) -> RolloutPolicy:
    """Return the default policy with the least changes under which a version can be promoted at this traffic.

    `rows_per_observation` is to be stated for a first version: it is estimated only from the second version on, and
    until then no rollout ends. `shares` are those of the strata among the labels: of a rare one few labels come, so
    a proof takes long. The changed fields are the policy's `model_fields_set`. The first step takes a day at most: a
    canary of a small share must not wait weeks for its requests, as both versions score the others as well. Where a
    proof would take more than eight weeks, the margin is larger. Raises InvalidPolicyError if nothing can be proven
    within a year.

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
    policies = [_DEFAULTS.model_copy(update={**wanted, "margin": margin}) for margin in _MARGINS]
    found = [(_weeks(policy, traffic, shares), policy) for policy in policies]
    weeks, policy = found[0] if found[0][0] <= _PATIENT_WEEKS else min(found, key=lambda each: each[0])
    if weeks == inf:
        raise InvalidPolicyError(
            f"nothing can be proven within a year with {a_day:g} requests a day and labels "
            f"{traffic.label_delay_hours:g} hours late: {_labels_of_a_proof(policy, shares):,.0f} of them are needed, "
            f"and {least_hours(policy, traffic).arithmetic}; promote by hand, with approvers"
        )
    wanted |= {"margin": policy.margin, "deadline_hours": 168.0 * weeks}
    return RolloutPolicy.model_validate(
        {name: value for name, value in wanted.items() if value != getattr(_DEFAULTS, name)}
    )


def as_yaml(policy: RolloutPolicy) -> str:
    """Return the fields that differ from the defaults, as `defs.yaml` has them.

    >>> as_yaml(RolloutPolicy(steps=(0.1, 0.5), margin=0.05))
    '`rollout: {steps: [0.1, 0.5], margin: 0.05}`'
    """
    return f"`rollout: {{{', '.join(f'{name}: {value}' for name, value in changes(policy).items())}}}`"


def changes(policy: RolloutPolicy) -> dict[str, str]:
    """Return the fields that were set, as YAML has their values."""
    document = policy.model_dump(mode="json")
    return {name: json.dumps(document[name]) for name in RolloutPolicy.model_fields if name in policy.model_fields_set}


def _weeks(policy: RolloutPolicy, traffic: Traffic, shares: Shares) -> float:
    """Return the whole weeks that hold all steps and the labels of a proof; infinity if a year does not."""
    labels = _labels_of_a_proof(policy, shares)
    proof = traffic.label_delay_hours + labels / traffic.requests_per_day * 24
    hours = max(least_hours(policy, traffic).total, proof)
    return next((weeks for weeks in _WEEKS if 168 * weeks > hours), inf)


def _labels_of_a_proof(policy: RolloutPolicy, shares: Shares) -> float:
    """Return the number of labels that proves a version with other answers to be no worse; infinity if none does."""

    def of_class(share: float) -> PairedCounts:
        other = round(_A_LABEL * share * _OTHER_ANSWERS)
        return PairedCounts(wins=other, losses=other, ties=round(_A_LABEL * share) - 2 * other)

    def e_value_at(labels: float) -> float:
        return paired_e_value(
            outcomes,
            policy,
            shares,
            margin=policy.margin,
            alternative="not_worse",
            rows_per_observation=policy.rows_per_observation or 1.0,
            factor=labels / _A_LABEL,
        )

    outcomes = {name: of_class(share) for name, share in shares.items()}
    tried = (_FEWEST * 1.1**exponent for exponent in range(_TRIES))
    return next((labels for labels in tried if e_value_at(labels) >= 1 / policy.alpha), inf)


def _within_a_day(a_day: float, most: int) -> int:
    return max(1, min(most, floor(a_day)))
