"""A rollout policy proposed for a traffic can promote something there, and begins at once."""

import pytest

from mlops_dagster.errors import InvalidPolicyError
from mlops_dagster.rollout import RolloutPolicy
from mlops_dagster.rollout.prospects.proposal import check_can_promote, propose_policy
from mlops_dagster.rollout.prospects.prospects import Outcome, Traffic, prospect

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("a_day", "late", "rows"), [(20, 0, 1.0), (130, 6, 1.0), (330, 0, 3.0), (900, 240, 1.0), (20_000, 1, 1.0)]
)
def test_what_is_proposed_can_promote(a_day: float, late: float, rows: float) -> None:
    traffic = Traffic(requests_per_day=a_day, label_delay_hours=late)
    policy = propose_policy(traffic, rows)
    check_can_promote(policy, traffic)
    assert policy.min_step_requests <= max(1, a_day * policy.steps[0]), "a day for the first step at most"
    with_defaults = RolloutPolicy(rows_per_observation=rows)
    if a_day < 20_000:
        with pytest.raises(InvalidPolicyError, match="no version would ever be promoted"):
            check_can_promote(with_defaults, traffic)
    else:
        assert policy == with_defaults


@pytest.mark.parametrize(("a_day", "rows", "margin"), [(3000, 1.0, 0.02), (1000, 2.0, 0.05)])
def test_of_a_rare_class_few_labels_come_and_the_deadline_waits_for_them(
    a_day: float, rows: float, margin: float
) -> None:
    traffic, shares = Traffic(requests_per_day=a_day), {"fine": 0.99, "fraud": 0.01}
    policy = propose_policy(traffic, rows, shares)
    assert policy.margin == margin
    assert prospect("", (0.03, 0.03), policy, traffic, shares).outcome is Outcome.PROMOTE


def test_a_traffic_that_proves_nothing_within_a_year_is_refused_with_the_arithmetic() -> None:
    with pytest.raises(InvalidPolicyError, match="promoted by this `rollout`: the shadow takes"):
        check_can_promote(RolloutPolicy(), Traffic(requests_per_day=0.5))
    with pytest.raises(InvalidPolicyError, match=r"with 0.5 requests a day .* the shadow takes .* promote by hand"):
        propose_policy(Traffic(requests_per_day=0.5), 1)
