"""What a policy can prove is known before any version is trained."""

import pytest

from mlops_dagster.errors import InvalidPolicyError
from mlops_dagster.rollout import Outcome, RolloutPolicy
from mlops_dagster.rollout.prospects.proposal import check_can_promote
from mlops_dagster.rollout.prospects.prospects import Traffic, least_hours, prospects

pytestmark = pytest.mark.slow

QUICK = RolloutPolicy(steps=(0.1, 0.5), min_canary_hours=12, soak_hours=6, deadline_hours=60)
LATE = RolloutPolicy(deadline_hours=400, labels="late", label_hours=24)


def test_labels_ten_days_late_under_a_deadline_of_seven_are_refused_with_the_arithmetic() -> None:
    """Golden, by hand: 1 hour of shadow, and four steps that each wait 240 hours for labels of their own."""
    with pytest.raises(InvalidPolicyError) as caught:
        check_can_promote(RolloutPolicy(), Traffic(requests_per_day=24_000_000, label_delay_hours=240))
    said = caught.value.message
    assert "the steps 240 + 240 + 240 + 240" in said
    assert "961 hours in all, and rollout.deadline_hours is 168" in said
    check_can_promote(
        RolloutPolicy(deadline_hours=1200, labels="late", label_hours=240),
        Traffic(requests_per_day=24_000, label_delay_hours=240),
    )


@pytest.mark.parametrize(
    ("policy", "traffic", "says"),
    [
        (
            QUICK,
            Traffic(requests_per_day=50),
            "each waits for 100 paired labels of its own, .* One that can: `rollout: {steps: .* deadline_hours: 1344",
        ),
        (
            LATE,
            Traffic(requests_per_day=24_000, label_delay_hours=48),
            "come 48 hours late, and rollout.label_hours counts answers from 24 hours on",
        ),
        (
            QUICK.model_copy(update={"rows_per_observation": 400.0}),
            Traffic(requests_per_day=2_400),
            "paired labels after 60 hours, which end with: .*accuracy at most 0.02 under the champion's is not proven",
        ),
    ],
)
def test_a_policy_that_never_promotes_is_refused(policy: RolloutPolicy, traffic: Traffic, says: str) -> None:
    with pytest.raises(InvalidPolicyError, match=says):
        check_can_promote(policy, traffic)
    if policy is not LATE:
        assert Outcome.PROMOTE not in {each.outcome for each in prospects(policy, traffic)}


@pytest.mark.parametrize("paired", [True, False])
def test_what_is_proven_is_what_the_real_decision_says(paired: bool) -> None:
    policy, traffic = QUICK.model_copy(update={"paired": paired}), Traffic(requests_per_day=24_000)
    check_can_promote(policy, traffic)
    found = {each.challenger: each for each in prospects(policy, traffic)}
    outcomes = {name: each.outcome for name, each in found.items()}
    assert outcomes["always the same answers"] is Outcome.PROMOTE
    assert outcomes["10 points worse"] is Outcome.ROLLBACK
    assert outcomes["2 points worse"] is not Outcome.PROMOTE
    assert (
        min(each.hours for each in found.values() if each.outcome is Outcome.PROMOTE)
        >= least_hours(policy, traffic).total
    )


def test_the_least_time_is_never_more_than_a_rollout_takes() -> None:
    """So that nothing is refused for it that would have been promoted."""
    for traffic in (Traffic(requests_per_day=1_500), Traffic(requests_per_day=90_000, label_delay_hours=5)):
        same, *_ = prospects(QUICK, traffic)
        assert same.outcome is Outcome.PROMOTE
        assert least_hours(QUICK, traffic).total <= same.hours
