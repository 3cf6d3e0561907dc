"""The work of a batch: score it, record it durably, and only then let go of the answers."""

import time
from collections.abc import Sequence

from mlops_dagster.errors import MlopsError
from mlops_dagster.predictions import Spool
from mlops_dagster.serving.batching import score_together
from mlops_dagster.serving.calls import Call, Outcome, Rejection, Scoring, rejected, scored
from mlops_dagster.serving.models import Scores
from mlops_dagster.serving.paired import OffPath, Task
from mlops_dagster.serving.protocol import encode
from mlops_dagster.serving.telemetry import Telemetry


class Scorer:
    """Scores for one process. What settles returns when its records are durable; StorageError if they cannot be."""

    def __init__(self, process: str, spool: Spool, telemetry: Telemetry, patience: float) -> None:
        self._process = process
        self._spool = spool
        self._telemetry = telemetry
        self.off_path = OffPath(self.score_tasks, self.settle_tasks, telemetry, patience)

    def score(self, calls: Sequence[Call]) -> list[Outcome]:
        """Score calls that one version answers."""
        return _outcomes([call.scoring for call in calls])

    def settle(self, calls: Sequence[Call], outcomes: Sequence[Outcome]) -> list[bytes | MlopsError]:
        """Record what became of them; returns the answers."""
        answers = [_answer(call, outcome) for call, outcome in zip(calls, outcomes, strict=True)]
        now = time.perf_counter()
        self._spool.append(
            [
                record
                for call, outcome in zip(calls, outcomes, strict=True)
                for record in scored(call, call.scoring, outcome, self._process, answered_at=now)
            ]
        )
        self.off_path.offer(calls)
        self._telemetry.batched(calls[0].in_force.deployment.model, len(calls))
        now = time.perf_counter()
        for call, outcome in zip(calls, outcomes, strict=True):
            self._count(call, call.scoring, outcome, now - call.started)
        return answers

    def reject(self, rejections: Sequence[Rejection], _outcomes: Sequence[None]) -> list[None]:
        """Record requests that are refused."""
        self._spool.append([rejected(rejection, self._process) for rejection in rejections])
        for rejection in rejections:
            self._telemetry.answered(
                rejection.model, rejection.version, "none", "rejected", rejection.latency_ms / 1000
            )
        return [None] * len(rejections)

    def score_tasks(self, tasks: Sequence[Task]) -> list[Outcome]:
        """Score beside the answers, for one version."""
        return _outcomes([scoring for _, scoring in tasks])

    def settle_tasks(self, tasks: Sequence[Task], outcomes: Sequence[Outcome]) -> None:
        """Record what became of them."""
        records = [
            record
            for (call, scoring), outcome in zip(tasks, outcomes, strict=True)
            for record in scored(call, scoring, outcome, self._process)
        ]
        self._spool.append(records)
        for (call, scoring), outcome in zip(tasks, outcomes, strict=True):
            self._count(call, scoring, outcome, outcome.seconds)

    def _count(self, call: Call, scoring: Scoring, outcome: Outcome, seconds: float) -> None:
        status = "ok" if isinstance(outcome.result, Scores) else "failed"
        model = call.in_force.deployment.model
        self._telemetry.answered(model, scoring.version.version, scoring.role, status, seconds)


def _answer(call: Call, outcome: Outcome) -> bytes | MlopsError:
    scores, scoring = outcome.result, call.scoring
    if isinstance(scores, MlopsError):
        return scores
    model, version = call.in_force.deployment.model, scoring.version.version
    return encode(model, version, scoring.role, call.request, call.prediction_ids, scores.labels, scores.scores)


def _outcomes(scorings: Sequence[Scoring]) -> list[Outcome]:
    """Score what one version is to score; what its own schema refuses has failed already."""
    began = time.perf_counter()
    accepted = [scoring.columns for scoring in scorings if scoring.refusal is None]
    results = iter(score_together(scorings[0].version, accepted) if accepted else ())
    ended = time.perf_counter()
    return [Outcome(scoring.refusal or next(results), began, ended) for scoring in scorings]
