"""The cutoffs: nothing goes that can still be asked for, whatever the policy says."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from mlops_dagster.retention import LOOKBACK, Evidence, Kind, RetentionPolicy, goes_before, kept_since, shown_since

NOW = datetime(2026, 11, 30, 3, 30, tzinfo=UTC)
COUNTS = (Kind.MINUTE_COUNTS, Kind.HOUR_COUNTS, Kind.DAY_COUNTS)

days = st.integers(1, 900)
ago = days.map(lambda number: NOW - timedelta(days=number, minutes=7))
spans = st.tuples(ago, days, st.booleans()).map(
    lambda its: (its[0], None if its[2] else min(its[0] + timedelta(days=its[1]), NOW))
)
policies = st.tuples(st.lists(days, min_size=3, max_size=3).map(sorted), days, days, days).map(
    lambda its: RetentionPolicy(
        minute_counts_days=its[0][0],
        hour_counts_days=its[0][1],
        day_counts_days=its[0][2],
        hour_reports_days=its[1],
        reports_days=its[2],
        predictions_days=its[3],
    )
)
evidences = st.builds(
    Evidence,
    awaited=st.integers(1, 400).map(lambda number: timedelta(days=number)),
    window=st.integers(1, 60).map(lambda number: timedelta(days=number)),
    rollouts=st.lists(spans, max_size=4),
)


@given(policies, evidences)
def test_what_can_be_shown_or_is_awaited_stays(policy: RetentionPolicy, evidence: Evidence) -> None:
    since = kept_since(policy, NOW, evidence)
    before, shown = goes_before(since, evidence), shown_since(since)
    assert shown is not None
    assert shown < NOW, "the present can always be shown"
    for kind in Kind:
        assert before[kind] <= since[kind] <= NOW - timedelta(days=policy.days(kind)), "kept for its days at least"
    for start, end in evidence.rollouts:
        for kind in COUNTS:
            assert (end is not None and end < shown) or before[kind] <= start
        assert end is not None or before[Kind.PREDICTIONS] <= start
    for kind in (Kind.PREDICTIONS, *COUNTS, Kind.REPORTS):
        assert since[kind] <= NOW - evidence.awaited, "its label may come"
    for kind in (Kind.HOUR_REPORTS, Kind.REPORTS):
        assert since[kind] <= NOW - LOOKBACK, "else the period would be made again"
    for kind in (*COUNTS, Kind.HOUR_REPORTS, Kind.REPORTS):
        assert since[kind] + LOOKBACK <= shown


@given(policies, evidences, days)
def test_time_only_lets_more_go(policy: RetentionPolicy, evidence: Evidence, later: int) -> None:
    now = kept_since(policy, NOW, evidence)
    then = kept_since(policy, NOW + timedelta(days=later), evidence)
    assert all(then[kind] - now[kind] == timedelta(days=later) for kind in Kind)


def test_finer_counts_go_first_and_the_law_is_kept() -> None:
    for wrong in ({"minute_counts_days": 500}, {"day_counts_days": 10}, {"alerts_days": 182}, {"decisions_days": 30}):
        with pytest.raises(ValidationError):
            RetentionPolicy.model_validate(wrong)
