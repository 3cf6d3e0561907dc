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
        self._telemetry.batched(calls[0].in_force.deployment.model, len(calls))
        for call, outcome in zip(calls, outcomes, strict=True):
            self._count(call, call.scoring, outcome, time.perf_counter() - call.started)
        return outcomes

    def reject(self, rejections: Sequence[Rejection]) -> list[None]:
        """Record requests that are refused."""
        self._spool.append([rejected(rejection, self._process) for rejection in rejections])
        for rejection in rejections:
            self._telemetry.answered(
                rejection.model, rejection.version, "none", "rejected", rejection.latency_ms / 1000
            )
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
                self._count(call, scoring, outcome, seconds)
        self._spool.append(records)

    def _count(self, call: Call, scoring: Scoring, outcome: Outcome, seconds: float) -> None:
        status = "ok" if isinstance(outcome, Scores) else "failed"
        model = call.in_force.deployment.model
        self._telemetry.answered(model, scoring.version.version, scoring.role, status, seconds)


def _outcomes(version: LoadedModel, scorings: Sequence[Scoring]) -> list[Outcome]:
    accepted = [scoring.columns for scoring in scorings if scoring.refusal is None]
    outcomes = iter(score_together(version, accepted) if accepted else ())
    return [scoring.refusal or next(outcomes) for scoring in scorings]
