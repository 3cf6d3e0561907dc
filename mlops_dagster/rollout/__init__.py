"""Rollouts: the policy, the evidence, the decision on it, and the change of the deployment."""

from mlops_dagster.rollout.collect import collect
from mlops_dagster.rollout.controller import Controller
from mlops_dagster.rollout.decide import decide
from mlops_dagster.rollout.entities import Decision, Outcome, Phase, Rollout, TestResult
from mlops_dagster.rollout.evidence import EventsSince, Evidence, Labels, LabelsSince, StepCounts
from mlops_dagster.rollout.policy import MaxRatios, RolloutPolicy
from mlops_dagster.rollout.store.store import RolloutStore

__all__ = [
    "Controller",
    "Decision",
    "EventsSince",
    "Evidence",
    "Labels",
    "LabelsSince",
    "MaxRatios",
    "Outcome",
    "Phase",
    "Rollout",
    "RolloutPolicy",
    "RolloutStore",
    "StepCounts",
    "TestResult",
    "collect",
    "decide",
]
