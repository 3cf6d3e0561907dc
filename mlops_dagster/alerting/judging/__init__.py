"""The judgement of rules: pure functions of a watch and an observation."""

from mlops_dagster.alerting.judging.criterion import Criterion, Duration, Proof, Shown
from mlops_dagster.alerting.judging.judge import Transition, judge
from mlops_dagster.alerting.judging.observation import Counted, Missing, Observation, Seen
from mlops_dagster.alerting.judging.watch import Condition, Gauge, Latch, Watch

__all__ = [
    "Condition",
    "Counted",
    "Criterion",
    "Duration",
    "Gauge",
    "Latch",
    "Missing",
    "Observation",
    "Proof",
    "Seen",
    "Shown",
    "Transition",
    "Watch",
    "judge",
]
