from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops_dagster.predictions.rollups.latency import buckets, summarize


@given(st.lists(st.floats(0.02, 60_000), min_size=1, max_size=200))
def test_quantiles_are_within_two_and_a_half_percent(latencies):
    summary = summarize(Counter(buckets(latencies)))
    exact = np.quantile(latencies, [0.50, 0.95, 0.99], method="inverted_cdf")
    assert summary is not None
    assert summary[1:] == pytest.approx(exact, rel=0.025)


def test_nothing_served_has_no_latency():
    assert summarize({}) is None
    assert buckets([0.0]) == buckets([0.001])
