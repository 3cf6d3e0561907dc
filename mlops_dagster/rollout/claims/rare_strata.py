"""Strata that a challenger could lose without a test noticing it.

A stratum is a part of the truths whose losses are compared by themselves: of a classification, each class. A task whose
losses all count alike has none, and none of these reasons.
"""

from typing import Final

from mlops_dagster.registry import ModelVersion
from mlops_dagster.rollout.entities import Rollout
from mlops_dagster.rollout.evidence import NO_PAIRS, Evidence
from mlops_dagster.rollout.policy import RolloutPolicy

_FAR_LESS: Final = 3.0
"""The factor by which a stratum is rarer among the labels than in training, from which it is not judged by them."""
_FEW: Final = 10
"""The least number of labels of a stratum, seen or expected, from which conclusions are drawn."""


def strata_of(version: ModelVersion) -> dict[str, float]:
    """Return the shares of its strata among the labels that it was trained on, 0 where they are not known.

    Empty for a task whose truths cannot be listed: then all of its labels count alike.
    """
    if version.schema is None:
        return {}
    task = version.schema.task
    strata = {truth: task.stratum(truth) for truth in task.truths}
    found = dict.fromkeys(strata.values(), 0)
    if version.baseline is not None:
        label = version.baseline.label
        for truth, cell in zip(strata, label.bins.index(list(strata)).tolist(), strict=True):
            found[strata[truth]] += int(label.counts[cell])
    known = sum(found.values())
    return {name: count / known if known else 0.0 for name, count in found.items()}


def blind_to_a_stratum(policy: RolloutPolicy, rollout: Rollout) -> str | None:
    """Name a stratum that the margin allows to lose entirely, by its share in training; None if there is none."""
    shares = {name: share for name, share in rollout.strata.items() if share > 0}
    if policy.loss != "accuracy" or not policy.uses_pairs or not shares:
        return None
    name, share = min(shares.items(), key=lambda item: item[1])
    if share > policy.margin:
        return None
    return (
        f"{rollout.truth_noun} {name} is {share:.2%} of the labels, so a version that always misses it loses "
        f"{share:.4f} of {rollout.merit}, which the margin of {policy.margin:g} allows; use `loss: balanced`, or a "
        f"margin under {share:.2g}"
    )


def missing_stratum(policy: RolloutPolicy, rollout: Rollout, evidence: Evidence) -> str | None:
    """Name a stratum with almost no label where many were expected, so that labels prove nothing; None without one.

    Either its labels come later than others, or it hardly occurs. A balanced loss says nothing before each stratum has
    a few labels.
    """
    pairs = evidence.labels.paired.total
    if not policy.uses_pairs or not pairs:
        return None
    balanced = policy.compares_strata(rollout.strata)
    for name, share in rollout.strata.items():
        count = evidence.labels.since[0].outcomes.get(name, NO_PAIRS).total
        if count < _FEW and share > 0 and (balanced or share * pairs >= _FEW):
            return (
                f"{rollout.truth_noun} {name} has {count} labels of {pairs:,} so far and was {share:.2%} of them where "
                f"{rollout.challenger} was trained; its losses and wins are not seen before it has {_FEW}"
            )
    return None


def unseen_stratum(policy: RolloutPolicy, rollout: Rollout, evidence: Evidence) -> str | None:
    """Name a stratum so rare among the labels that its loss would not be noticed; None if there is none.

    If the version was not trained here, the shares of its strata are not known (0), and they must all be common.
    """
    outcomes, pairs = evidence.labels.since[0].outcomes, evidence.labels.paired.total
    if not policy.uses_pairs or not pairs:
        return None
    seen = {name: outcomes.get(name, NO_PAIRS).total / pairs for name in {**rollout.strata, **outcomes}}
    for name, share in rollout.strata.items():
        if share * pairs >= _FEW and seen[name] < share / _FAR_LESS:
            return (
                f"{rollout.truth_noun} {name} is {seen[name]:.2%} of the labels here and was {share:.2%} where "
                f"{rollout.challenger} was trained, so what it loses there is not seen"
            )
    if policy.compares_strata(rollout.strata):
        return None
    name, share = min(seen.items(), key=lambda item: item[1])
    unknown = bool(rollout.strata) and not any(rollout.strata.values())
    if unknown and policy.loss == "auto" and share < policy.rare_share:
        return (
            f"{rollout.truth_noun} {name} is {share:.2%} of the labels here, too rare for {rollout.merit} to show its "
            f"loss, and {rollout.challenger} was not trained here, which would tell the shares for a balanced "
            "loss; train it here, or set `loss: accuracy`"
        )
    if share > policy.margin:
        return None
    return (
        f"{rollout.truth_noun} {name} is {share:.2%} of the labels here, all of which the margin of {policy.margin:g} "
        f"allows to lose; set a margin under {share:.2g}, or train it here, which tells the shares"
    )
