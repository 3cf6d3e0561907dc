"""The loss by which pairs are compared, as one e-value: accuracy, the mean of the classes' accuracies, or both.

The loss is that of the gate. Where a class is rarer than the margin allows, it is the mean of the classes' losses: a
prediction of class c with share p_c counts as p_rarest / p_c of one of the rarest class, and the margin d on the mean
of K classes becomes d K p_rarest on that scale. What harms the common class alone hardly shows there, so `loss: auto`
compares accuracy as well: worse is who is worse in either (the average of two e-values is one), and no worse who is no
worse in both (each e-value is to be reached, so the smaller one).
"""

from collections.abc import Mapping

from mlops_dagster.rollout.evidence import ByClass
from mlops_dagster.rollout.policy import RolloutPolicy
from mlops_dagster.statistics import Alternative, difference_e_value


def class_weights(policy: RolloutPolicy, classes: Mapping[str, float]) -> Mapping[str, float]:
    """Return by class what one of its predictions counts; empty if every prediction counts the same."""
    shares = {name: share for name, share in classes.items() if share > 0}
    if not policy.compares_classes(shares):
        return {}
    return {name: min(shares.values()) / share for name, share in shares.items()}


def paired_e_value(
    outcomes: ByClass,
    policy: RolloutPolicy,
    classes: Mapping[str, float],
    *,
    margin: float,
    alternative: Alternative,
    rows_per_observation: float,
    factor: float = 1.0,
) -> float:
    """Return the evidence about the difference of the two versions' losses, of counts that have grown by `factor`.

    `classes` are the shares of the classes among the labels, `margin` is on the scale of the loss that is compared.
    Where accuracy is compared beside a balanced loss, its margin is that of the policy.
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

    weights = class_weights(policy, classes)
    if not weights:
        return e_value({}, margin)
    # 1 / sum of 1 / p_c is p_rarest / sum of weights: the weights are in units of the rarest.
    balanced = e_value(weights, margin * len(weights) * min(classes[name] for name in weights))
    if policy.loss != "auto":
        return balanced
    plain = e_value({}, policy.margin)
    return (balanced + plain) / 2 if alternative == "worse" else min(balanced, plain)
