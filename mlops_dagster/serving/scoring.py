"""The work of a batch: score it, record it durably, and only then let go of the answers."""

import time
from collections import defaultdict
from collections.abc import Sequence

from mlops_dagster.errors import MlopsError
from mlops_dagster.predictions import PredictionRecord, Spool
from mlops_dagster.serving.batching import score_together
from mlops_dagster.serving.calls import Call, Rejection, Scoring, rejected, scored
from mlops_dagster.serving.models import LoadedModel, Scores
from mlops_dagster.serving.paired import OffPath, Task
from mlops_dagster.serving.telemetry import Telemetry

Outcome = Scores | MlopsError


class Scorer:
    """Scores for one process. A method returns when its records are durable; StorageError if they cannot be."""

    def __init__(self, process: str, spool: Spool, telemetry: Telemetry) -> None:
        self._process = process
        self._spool = spool
        self._telemetry = telemetry
        self.off_path = OffPath(self._score_beside, telemetry)

    def answer(self, calls: Sequence[Call]) -> list[Outcome]:
        """Score calls that one version answers."""
        outcomes = _outcomes(calls[0].scoring.version, [call.scoring for call in calls])
        latencies = [time.perf_counter() - call.started for call in calls]
        self._spool.append(
            [
                record
                for call, outcome, seconds in zip(calls, outcomes, latencies, strict=True)
                for record in scored(call, call.scoring, outcome, seconds * 1000, self._process)
            ]
        )
        self.off_path.offer(calls)
        durable = time.perf_counter()
        self._count([(call, call.scoring) for call in calls], outcomes, [durable - call.started for call in calls])
        return outcomes

    def reject(self, rejections: Sequence[Rejection]) -> list[None]:
        """Record requests that are refused."""
        self._spool.append([rejected(rejection, self._process) for rejection in rejections])
        for rejection in rejections:
            arm = self._telemetry.arm(rejection.model, rejection.version, "none")
            arm.rejected([rejection.latency_ms / 1000], [rejection.error.code])
        return [None] * len(rejections)

    def _score_beside(self, tasks: Sequence[Task]) -> None:
        by_version: defaultdict[LoadedModel, list[Task]] = defaultdict(list)
        for call, scoring in tasks:
            by_version[scoring.version].append((call, scoring))
        records: list[PredictionRecord] = []
        for version, its_tasks in by_version.items():
            started = time.perf_counter()
            outcomes = _outcomes(version, [scoring for _, scoring in its_tasks])
            seconds = time.perf_counter() - started
            for (call, scoring), outcome in zip(its_tasks, outcomes, strict=True):
                records += scored(call, scoring, outcome, seconds * 1000, self._process)
            self._count(its_tasks, outcomes, [seconds] * len(its_tasks))
        self._spool.append(records)

    def _count(self, tasks: Sequence[Task], outcomes: Sequence[Outcome], seconds: Sequence[float]) -> None:
        """Tell the telemetry of one version's batch, arm by arm: nearly always there is one."""
        arms: defaultdict[tuple[str, str, str], list[int]] = defaultdict(list)
        for index, (call, scoring) in enumerate(tasks):
            arms[call.in_force.deployment.model, scoring.version.version, scoring.role].append(index)
        for arm, indices in arms.items():
            its_outcomes = [outcomes[index] for index in indices]
            self._telemetry.arm(*arm).answered(
                [seconds[index] for index in indices],
                [label for outcome in its_outcomes if isinstance(outcome, Scores) for label in outcome.labels],
                [outcome.code for outcome in its_outcomes if isinstance(outcome, MlopsError)],
            )


def _outcomes(version: LoadedModel, scorings: Sequence[Scoring]) -> list[Outcome]:
    accepted = [scoring.columns for scoring in scorings if scoring.refusal is None]
    outcomes = iter(score_together(version, accepted) if accepted else ())
    return [scoring.refusal or next(outcomes) for scoring in scorings]
