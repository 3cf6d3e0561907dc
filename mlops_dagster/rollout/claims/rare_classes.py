"""Classes that a challenger could lose without a test noticing it."""

from typing import Final

from mlops_dagster.registry import ModelVersion
from mlops_dagster.rollout.entities import Rollout
from mlops_dagster.rollout.evidence import NO_PAIRS, Evidence
from mlops_dagster.rollout.policy import RolloutPolicy

_FAR_LESS: Final = 3.0
"""The factor by which a class is rarer among the labels than in training, from which it is not judged by them."""
_FEW: Final = 10
"""The least number of labels of a class, seen or expected, from which conclusions are drawn."""


def class_shares(version: ModelVersion) -> dict[str, float]:
    """Return the shares of its classes among the labels that it was trained on, 0 where they are not known.

    Empty for a task whose truths cannot be listed: then all of its labels count alike.
    """
    if version.schema is None:
        return {}
    if version.baseline is None:
        return dict.fromkeys(version.schema.task.truths, 0.0)
    label, classes = version.baseline.label, version.schema.task.truths
    cells = label.bins.index(list(classes)).tolist()
    known = sum(int(label.counts[cell]) for cell in cells)
    return (
        {name: int(label.counts[cell]) / known for name, cell in zip(classes, cells, strict=True)}
        if known
        else dict.fromkeys(classes, 0.0)
    )


def blind_to_a_class(policy: RolloutPolicy, rollout: Rollout) -> str | None:
    """Name a class that the margin allows to lose entirely, by its share in training; None if there is none."""
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


def missing_class(policy: RolloutPolicy, rollout: Rollout, evidence: Evidence) -> str | None:
    """Name a class with almost no label where many were expected, so that labels prove nothing; None if there is none.

    Either its labels come later than others, or it hardly occurs. A balanced loss says nothing before each class has a
    few labels.
    """
    pairs = evidence.labels.paired.total
    if not policy.uses_pairs or not pairs:
        return None
    balanced = policy.compares_classes(rollout.classes)
    for name, share in rollout.classes.items():
        count = evidence.labels.since[0].outcomes.get(name, NO_PAIRS).total
        if count < _FEW and share > 0 and (balanced or share * pairs >= _FEW):
            return (
                f"class {name} has {count} labels of {pairs:,} so far and was {share:.2%} of them where "
                f"{rollout.challenger} was trained; its losses and wins are not seen before it has {_FEW}"
            )
    return None


def unseen_class(policy: RolloutPolicy, rollout: Rollout, evidence: Evidence) -> str | None:
    """Name a class so rare among the labels that its loss would not be noticed; None if there is none.

    If the version was not trained here, the shares of its classes are not known (0), and they must all be common.
    """
    outcomes, pairs = evidence.labels.since[0].outcomes, evidence.labels.paired.total
    if not policy.uses_pairs or not pairs:
        return None
    seen = {name: outcomes.get(name, NO_PAIRS).total / pairs for name in {**rollout.classes, **outcomes}}
    for name, share in rollout.classes.items():
        if share * pairs >= _FEW and seen[name] < share / _FAR_LESS:
            return (
                f"class {name} is {seen[name]:.2%} of the labels here and was {share:.2%} where {rollout.challenger} "
                "was trained, so what it loses there is not seen"
            )
    if policy.compares_classes(rollout.classes):
        return None
    name, share = min(seen.items(), key=lambda item: item[1])
    unknown = bool(rollout.classes) and not any(rollout.classes.values())
    if unknown and policy.loss == "auto" and share < policy.rare_share:
        return (
            f"class {name} is {share:.2%} of the labels here, too rare for accuracy to show its loss, and "
            f"{rollout.challenger} was not trained here, which would tell the shares of its classes for a balanced "
            "loss; train it here, or set `loss: accuracy`"
        )
    if share > policy.margin:
        return None
    return (
        f"class {name} is {share:.2%} of the labels here, all of which the margin of {policy.margin:g} allows to lose; "
        f"set a margin under {share:.2g}, or train it here, which tells the shares of its classes"
    )
