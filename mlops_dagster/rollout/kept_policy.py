"""A running rollout keeps the policy it began with: its evidence is worth what was promised before there was any."""

from mlops_dagster.rollout.entities import Rollout
from mlops_dagster.rollout.policy import RolloutPolicy


def kept_policy(rollout: Rollout, written: RolloutPolicy) -> str:
    """Say which keys of `written`, the model's policy now, differ from the policy of a running rollout; "" if none."""
    keys = [key for key in RolloutPolicy.model_fields if getattr(written, key) != getattr(rollout.policy, key)]
    if not keys or rollout.phase.ended:
        return ""
    return f"it keeps the policy it began with; as written now, {', '.join(keys)} will hold for the next rollout"
