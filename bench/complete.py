"""Up to when the labels of many rollouts are complete: `complete_until` of all of them at once."""

from collections.abc import Sequence

import numpy as np

from bench.e_values import Ints, running
from mlops_dagster.predictions.rollups.compared import COHORT_MINUTES
from mlops_dagster.rollout import RolloutPolicy


def complete_cohorts(policy: RolloutPolicy, size: int, units: Sequence[Ints], labels: Sequence[Ints]) -> Ints:
    """Return how many cohorts of `size` minutes are complete, of each rollout.

    Args:
        units: of each arm, by rollouts and cohorts.
        labels: those of them that have come.
    """
    runs, count = units[0].shape
    if policy.labels == "complaints":
        return np.full(runs, count)
    numbers, before = np.arange(count), size * count - 60 * (policy.label_hours or 0)
    ends = np.broadcast_to(size * numbers + COHORT_MINUTES <= before, units[0].shape)
    ends = ends & (sum(units, np.zeros_like(units[0])) > 0)
    for arm, label in zip(units, labels, strict=True):
        sums, known = running(arm), running(label)
        ends = ends & (sums[:, 1:] > 0)
        for power in range(20):
            first = -(-(size * numbers + COHORT_MINUTES - COHORT_MINUTES * 2**power) // size)
            first = np.maximum(first, 0)
            of, have = sums[:, 1:] - sums[:, first], known[:, 1:] - known[:, first]
            ends = ends & (have >= policy.min_label_share * of)
            if not first.any():
                break
    return np.where(ends.any(axis=1), count - np.argmax(ends[:, ::-1], axis=1), 0)
