"""The work of a batch: it is scored, recorded durably, and only then answered."""

import time
from collections import defaultdict
from collections.abc import Sequence

from mlops_dagster.errors import MlopsError
from mlops_dagster.predictions import Answered, Spool, Status
from mlops_dagster.serving.deployed.loaded_model import Scores
from mlops_dagster.serving.plane.batching import score_together
from mlops_dagster.serving.plane.calls import (
    InferenceRequestContext,
    RejectedRequest,
    ScoringResult,
    ScoringTask,
    rejected,
    scored,
    traced,
    traced_rejection,
)
from mlops_dagster.serving.plane.shadow import ShadowScorer, Task
from mlops_dagster.serving.protocol.infer import Answer, encode
from mlops_dagster.serving.protocol.outputs import PREDICTION_ID
from mlops_dagster.serving.telemetry.telemetry import Telemetry
from mlops_dagster.serving.telemetry.tracing import Tracing
from mlops_dagster.serving.upkeep.unsettled import Unsettled


class Scorer:
    """The scorer of one process. `settle`, `reject` and `settle_tasks` return when their records are durable.

    They raise StorageError if the records cannot be written.
    """

    def __init__(self, process: str, spool: Spool, telemetry: Telemetry, tracing: Tracing, patience: float) -> None:
        self._process = process
        self._spool = spool
        self._telemetry = telemetry
        self._tracing = tracing
        self._unsettled = Unsettled(spool.path.parent, process)
        self.off_path = ShadowScorer(
            self.score_tasks, self.settle_tasks, spool.shed, telemetry, patience, waiting=self._unsettled.change
        )

    def close(self) -> None:
        """Finish the scorings that wait off the response path."""
        self.off_path.close()
        self._unsettled.close()

    def score(self, calls: Sequence[InferenceRequestContext]) -> list[ScoringResult]:
        """Score requests that one version answers."""
        return _outcomes([call.scoring for call in calls])

    def settle(
        self, calls: Sequence[InferenceRequestContext], outcomes: Sequence[ScoringResult]
    ) -> list[Answer | MlopsError]:
        """Record the results of requests durably, offer the requests to `off_path`, and return the answers."""
        answers = [_answer(call, outcome) for call, outcome in zip(calls, outcomes, strict=True)]
        now = time.perf_counter()
        self._spool.append(
            [
                record
                for call, outcome in zip(calls, outcomes, strict=True)
                for record in scored(call, call.scoring, outcome, self._process, answered_at=now)
            ]
        )
        self.off_path.offer([(call, _answered(call, outcome)) for call, outcome in zip(calls, outcomes, strict=True)])
        for call, outcome in zip(calls, outcomes, strict=True):
            if call.trace.sampled:
                self._tracing.record(traced(call, outcome, now, len(calls)))
        now = time.perf_counter()
        self._count([(call, call.scoring) for call in calls], outcomes, [now - call.started for call in calls], now)
        return answers

    def reject(self, rejections: Sequence[RejectedRequest], _outcomes: Sequence[None]) -> list[None]:
        """Record refused requests."""
        self._spool.append([record for rejection in rejections for record in rejected(rejection, self._process)])
        for rejection in rejections:
            arm = self._telemetry.arm(rejection.model, rejection.version, "none")
            if rejection.trace.sampled:
                self._tracing.record(traced_rejection(rejection))
            arm.refused(rejection.status, [rejection.latency_ms / 1000], [rejection.error.code])
        return [None] * len(rejections)

    def score_tasks(self, tasks: Sequence[Task]) -> list[ScoringResult]:
        """Score the tasks of one version off the response path."""
        return _outcomes([scoring for _, scoring in tasks])

    def settle_tasks(self, tasks: Sequence[Task], outcomes: Sequence[ScoringResult]) -> None:
        """Record the results of tasks."""
        records = [
            record
            for (call, scoring), outcome in zip(tasks, outcomes, strict=True)
            for record in scored(call, scoring, outcome, self._process)
        ]
        self._spool.append(records)
        self._count(tasks, outcomes, [outcome.seconds for outcome in outcomes])

    def _count(
        self,
        tasks: Sequence[Task],
        outcomes: Sequence[ScoringResult],
        seconds: Sequence[float],
        answered_at: float | None = None,
    ) -> None:
        """Count one version's batch in the telemetry, by arm: nearly always there is only one."""
        arms: defaultdict[tuple[str, str, str], list[int]] = defaultdict(list)
        for index, (call, scoring) in enumerate(tasks):
            arms[call.in_force.deployment.model, scoring.version.version, scoring.role].append(index)
        for arm, indices in arms.items():
            results = [outcomes[index].result for index in indices]
            call, scoring = tasks[indices[0]]
            limit = call.in_force.slow_ms / 1000
            self._telemetry.arm(*arm).answered(
                spent := [seconds[index] for index in indices],
                [
                    label
                    for result in results
                    if isinstance(result, Scores)
                    for label in scoring.version.counted(result.labels)
                ],
                [result.code for result in results if isinstance(result, MlopsError)],
                slow=sum(each > limit for each in spent),
                phases=None
                if answered_at is None
                else _phases([(tasks[index][0], outcomes[index]) for index in indices], answered_at),
            )


def _phases(
    answered: Sequence[tuple[InferenceRequestContext, ScoringResult]], answered_at: float
) -> dict[str, list[float]]:
    """Return the seconds of each phase of the requests whose batch was scored."""
    spans = [(call.started, its.began, its.ended) for call, its in answered if its.began and its.ended]
    return {
        "preprocess": [began - started for started, began, _ in spans],
        "inference": [ended - began for _, began, ended in spans],
        "postprocess": [answered_at - ended for _, _, ended in spans],
    }


def _answered(call: InferenceRequestContext, outcome: ScoringResult) -> Answered:
    status: Status = "failed" if isinstance(outcome.result, MlopsError) else "ok"
    return Answered(call.scoring.version.version, call.scoring.role, status)


def _answer(call: InferenceRequestContext, outcome: ScoringResult) -> Answer | MlopsError:
    scores, scoring = outcome.result, call.scoring
    if isinstance(scores, MlopsError):
        return scores
    return encode(
        call.in_force.deployment.model,
        scoring.version.version,
        scoring.role,
        call.request,
        scoring.version.outputs,
        {"label": scores.labels, "score": scores.scores, PREDICTION_ID.name: call.prediction_ids, **scores.tensors},
    )


def _outcomes(scorings: Sequence[ScoringTask]) -> list[ScoringResult]:
    """Score the tasks of one version; a task with a refusal gets that as its result."""
    began = time.perf_counter()
    accepted = [scoring.columns for scoring in scorings if scoring.refusal is None]
    results = iter(score_together(scorings[0].version, accepted) if accepted else ())
    ended = time.perf_counter()
    return [ScoringResult(scoring.refusal or next(results), began, ended) for scoring in scorings]
