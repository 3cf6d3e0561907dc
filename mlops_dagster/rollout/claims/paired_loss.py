"""The loss by which pairs are compared, as one e-value: that of all rows, the mean of the strata's losses, or both.

The strata of a classification are its classes: the mean of their losses is 1 - balanced accuracy. Where a stratum is
rarer than the margin allows, that mean counts: a prediction of stratum c with share p_c counts as p_rarest / p_c of one
of the rarest, and the margin d on the mean of K strata becomes d K p_rarest on that scale. What harms the common
stratum alone hardly shows there, so `loss: auto` compares all rows as well: worse is who is worse in either (the
average of two e-values is one), and no worse who is no worse in both (each e-value is to be reached, so the smaller).
"""

from collections.abc import Mapping

from mlops_dagster.rollout.evidence import ByStratum
from mlops_dagster.rollout.policy import RolloutPolicy
from mlops_dagster.statistics import Alternative, difference_e_value


def stratum_weights(policy: RolloutPolicy, strata: Mapping[str, float]) -> Mapping[str, float]:
    """Return by stratum what one of its predictions counts; empty if every prediction counts the same."""
    shares = {name: share for name, share in strata.items() if share > 0}
    if not policy.compares_strata(shares):
        return {}
    return {name: min(shares.values()) / share for name, share in shares.items()}


def paired_e_value(
    outcomes: ByStratum,
    policy: RolloutPolicy,
    strata: Mapping[str, float],
    *,
    margin: float,
    alternative: Alternative,
    rows_per_observation: float,
    factor: float = 1.0,
) -> float:
    """Return the evidence about the difference of the two versions' losses, of counts that have grown by `factor`.

    `strata` are the shares of the strata among the labels, `margin` is on the scale of the loss that is compared.
    Where the loss of all rows is compared beside the balanced one, its margin is that of the policy.
    """

    def e_value(weights: Mapping[str, float], margin: float) -> float:
        cells = [
            (sign * weights.get(label, 1.0), factor * count)
            for label, its in outcomes.items()
            for sign, count in ((-1.0, its.wins), (1.0, its.losses), (0.0, its.ties))
        ]
        return difference_e_value(
            cells, margin=margin, alternative=alternative, rows_per_observation=rows_per_observation
        )

    weights = stratum_weights(policy, strata)
    if not weights:
        return e_value({}, margin)
    # 1 / sum of 1 / p_c is p_rarest / sum of weights: the weights are in units of the rarest.
    balanced = e_value(weights, margin * len(weights) * min(strata[name] for name in weights))
    if policy.loss != "auto":
        return balanced
    plain = e_value({}, policy.margin)
    return (balanced + plain) / 2 if alternative == "worse" else min(balanced, plain)
