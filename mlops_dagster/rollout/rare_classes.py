"""Classes that a challenger could lose without a test that notices."""

from typing import Final

from mlops_dagster.rollout.entities import Rollout
from mlops_dagster.rollout.evidence import Evidence
from mlops_dagster.rollout.policy import RolloutPolicy

_FAR_LESS: Final = 3.0
"""A class with so many times less of the labels than where the challenger was trained is not judged by them."""
_FEW: Final = 10
"""Of fewer labels that were expected of a class, nothing can be said."""


def blind_to_a_class(policy: RolloutPolicy, rollout: Rollout) -> str | None:
    """Say which class the margin allows to lose all of, by the shares the challenger was trained on; None if none."""
    shares = {name: share for name, share in rollout.classes.items() if share > 0}
    if policy.loss != "accuracy" or not policy.uses_pairs or not shares:
        return None
    name, share = min(shares.items(), key=lambda item: item[1])
    if share > policy.margin:
        return None
    return (
        f"class {name} is {share:.2%} of the labels, so a version that always misses it loses {share:.4f} of accuracy, "
        f"which the margin of {policy.margin:g} allows; use `loss: balanced`, or a margin under {share:.2g}"
    )


def unseen_class(policy: RolloutPolicy, rollout: Rollout, evidence: Evidence) -> str | None:
    """Say of which class hardly any label has come: it is rare here, or its labels come later; None if of none."""
    outcomes, pairs = evidence.labels.since[0].outcomes, evidence.labels.paired.total
    if not policy.uses_pairs or not pairs:
        return None
    seen = {name: counts.total / pairs for name, counts in outcomes.items()}
    for name, share in rollout.classes.items():
        if share * pairs >= _FEW and (here := seen.get(name, 0.0)) < share / _FAR_LESS:
            return (
                f"class {name} is {here:.2%} of the labels here and was {share:.2%} where {rollout.challenger} was "
                "trained, so what it loses there is not seen"
            )
    name, share = min(seen.items(), key=lambda item: item[1])
    if share > policy.margin or policy.compares_classes(rollout.classes):
        return None
    return (
        f"class {name} is {share:.2%} of the labels here, all of which the margin of {policy.margin:g} allows to lose; "
        f"set a margin under {share:.2g}, or train it here, which tells the shares of its classes"
    )
