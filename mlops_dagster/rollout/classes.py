"""Classes that a challenger may lose unseen: rare ones, and those whose labels have not come."""

from mlops_dagster.rollout.entities import Rollout
from mlops_dagster.rollout.evidence import Evidence
from mlops_dagster.rollout.policy import RolloutPolicy

_FAR_LESS = 3.0
"""A class with so many times less of the labels than where the challenger was trained is not judged by them."""
_FEW = 10
"""Of fewer labels that were expected of a class, nothing can be said."""


def blind_to_a_class(policy: RolloutPolicy, rollout: Rollout) -> str | None:
    """A margin that is worth more than a class lets the challenger lose all of that class."""
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


def unseen_class(policy: RolloutPolicy, rollout: Rollout, evidence: Evidence) -> list[str]:
    """A class of which hardly any label has come may be lost unseen: it is rare here, or its labels come later."""
    outcomes, pairs = evidence.labels.since[0].outcomes, evidence.labels.paired.total
    if not policy.uses_pairs or not pairs:
        return []
    seen = {name: counts.total / pairs for name, counts in outcomes.items()}
    for name, share in rollout.classes.items():
        if share * pairs >= _FEW and (here := seen.get(name, 0.0)) < share / _FAR_LESS:
            reason = f"and was {share:.2%} where {rollout.challenger} was trained, so what it loses there is not seen"
            return [f"class {name} is {here:.2%} of the labels here {reason}"]
    name, share = min(seen.items(), key=lambda item: item[1])
    if share <= policy.margin and not policy.compares_classes(rollout.classes):
        reason = f"all of which the margin of {policy.margin:g} allows to lose; set a margin under {share:.2g}"
        return [
            f"class {name} is {share:.2%} of the labels here, {reason}, or train it here, where classes are counted"
        ]
    return []
