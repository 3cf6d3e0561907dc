"""The interval of a macro-F1: the posterior it claims, and what it costs with 1,000 classes."""

import time
import tracemalloc

import numpy as np
import pytest

from mlops_dagster.statistics import confusion_counts, macro_f1_interval, macro_f1_under
from mlops_dagster.statistics.metrics import macro_f1


def _dense(counts):
    """The macro-F1 of 20,000 draws from Dirichlet(count + 1 / K^2) over all K * K pairs, as the definition says."""
    draws = np.random.default_rng(7).standard_gamma(counts + 1 / counts.size, size=(20_000, *counts.shape))
    hits = np.diagonal(draws, axis1=1, axis2=2)
    return (2 * hits / (draws.sum(axis=1) + draws.sum(axis=2))).mean(axis=1)


@pytest.mark.parametrize(
    "counts",
    [
        [[5, 0], [0, 5]],
        [[80, 20], [20, 280]],
        [[3, 0, 1], [0, 4, 0], [2, 0, 9]],
        [[0, 3, 0], [1, 40, 0], [0, 0, 8]],
        (np.eye(6, dtype=int) * 30 + 1).tolist(),
    ],
)
def test_the_sparse_draws_are_of_the_dirichlet_over_all_pairs(counts, monkeypatch):
    monkeypatch.setattr(macro_f1, "DRAWS", 20_000)
    counts = np.array(counts)
    pairs = {(str(i), str(j)): int(n) for (i, j), n in np.ndenumerate(counts)}
    exact = _dense(counts)
    for confidence in (0.5, 0.9):
        found = macro_f1_interval(pairs, confidence)
        wanted = np.quantile(exact, [(1 - confidence) / 2, (1 + confidence) / 2])
        wanted[1] = max(wanted[1], 1.0 if found[1] == 1 else 0)  # the interval holds the macro-F1 of the counts
        assert found == pytest.approx(wanted, abs=0.1 * exact.std())  # five standard errors of such a quantile


def test_a_thousand_classes_take_seconds_and_little_memory():
    rng = np.random.default_rng(0)
    truth = rng.integers(1000, size=20_000)
    said = np.where(rng.random(20_000) < 0.7, truth, rng.integers(1000, size=20_000))
    pairs = confusion_counts(truth, said)
    tracemalloc.start()
    began = time.process_time()
    low, high = macro_f1_interval(pairs)
    chance = macro_f1_under(pairs, high, rows=20_000)
    took, (_, peak) = time.process_time() - began, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert 0.65 < low < high < 0.72
    assert 0 <= chance <= 1
    assert peak < 200e6
    assert took < 20
