"""Batches of requests: scoring 64 rows costs about as much as scoring one."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from mlops_dagster.errors import ModelFailedError
from mlops_dagster.serving.deployed.loaded_model import Columns, LoadedModel, Scores
from mlops_dagster.serving.plane.abandonable import AbandonableWorker

Job = TypeVar("Job")
Outcome = TypeVar("Outcome")
Result = TypeVar("Result")

MAX_BATCH = 512
# The pause between two batches, as a share of the first one's time: callers that wait for an answer before they ask
# again then come into the next batch together, and not in two halves that cost as much each as the whole.
PAUSE = 0.25


class Batcher(Generic[Job, Outcome, Result]):
    """A collector of the jobs of a burst, and of those that come while a batch is being scored.

    A batch is scored by `score` and then settled by `settle`, both in the thread of `lane`. Both return one outcome per
    job; if one raises, its error is the outcome of all. Scoring that takes longer than `patience` seconds is given up,
    with `late` as the outcome. `told` is called with the number of jobs that wait when a batch ends.
    """

    def __init__(
        self,
        lane: AbandonableWorker,
        score: Callable[[list[Job]], Sequence[Outcome]],
        settle: Callable[[list[Job], Sequence[Outcome]], Sequence[Result | Exception]],
        late: Outcome,
        patience: float,
        told: Callable[[int], object] = lambda _waiting: None,
    ) -> None:
        self._told = told
        self._lane = lane
        self._score = score
        self._settle = settle
        self._late = late
        self._patience = patience
        self._waiting: list[tuple[Job, asyncio.Future[Result]]] = []
        self._busy = False

    async def submit(self, job: Job) -> Result:
        """Wait for the result of `job` and return it; raises the error that `score` or `settle` gave for the job."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Result] = loop.create_future()
        self._waiting.append((job, future))
        if not self._busy:
            self._busy = True
            loop.call_soon(self._gather, 0)
        return await future

    def _gather(self, seen: int) -> None:
        """Start a batch once a turn of the loop brings no more jobs: requests come in bursts, as their answers do."""
        if seen < len(self._waiting) < MAX_BATCH:
            asyncio.get_running_loop().call_soon(self._gather, len(self._waiting))
        else:
            self._start()

    def _start(self) -> None:
        taken, self._waiting = self._waiting[:MAX_BATCH], self._waiting[MAX_BATCH:]
        jobs, futures = [job for job, _ in taken], [future for _, future in taken]
        loop = asyncio.get_running_loop()
        started = loop.time()

        def finish(results: Sequence[Result | Exception]) -> None:
            timer.cancel()
            self._finish(futures, started, results)

        def settle(outcomes: Sequence[Outcome] | Exception) -> None:
            loop.call_soon_threadsafe(finish, self._settled(jobs, outcomes))

        give_up = self._lane.start(lambda: self._scored(jobs), lambda: [self._late] * len(jobs), settle)
        timer = loop.call_later(self._patience, give_up)

    def _scored(self, jobs: list[Job]) -> Sequence[Outcome] | Exception:
        try:
            return self._score(jobs)
        except BaseException as error:
            return _as_exception(error)

    def _settled(self, jobs: list[Job], outcomes: Sequence[Outcome] | Exception) -> Sequence[Result | Exception]:
        if isinstance(outcomes, Exception):
            return [outcomes] * len(jobs)
        try:
            return self._settle(jobs, outcomes)
        except BaseException as error:
            return [_as_exception(error)] * len(jobs)

    def _finish(
        self, futures: list[asyncio.Future[Result]], started: float, results: Sequence[Result | Exception]
    ) -> None:
        self._busy = bool(self._waiting)
        self._told(len(self._waiting))
        if self._busy:
            loop = asyncio.get_running_loop()
            loop.call_later(PAUSE * (loop.time() - started), self._gather, len(self._waiting))
        for future, result in zip(futures, results, strict=True):
            if future.cancelled():
                continue
            if isinstance(result, BaseException):
                future.set_exception(result)
            else:
                future.set_result(result)


def _as_exception(error: BaseException) -> Exception:
    """Return `error`, or a ModelFailedError for one that is not an Exception, which would end the worker's thread."""
    return error if isinstance(error, Exception) else ModelFailedError(f"the batch broke off: {type(error).__name__}")


def score_together(model: LoadedModel, requests: Sequence[Columns]) -> list[Scores | ModelFailedError]:
    """Score many requests as one; if that fails, score halves, until the error is that of a single request."""
    sizes = [len(next(iter(columns.values()))) for columns in requests]
    together = {name: [value for columns in requests for value in columns[name]] for name in model.schema.names}
    try:
        scores = model.predict(together)
    except ModelFailedError as error:
        if len(requests) == 1:
            return [error]
        middle = len(requests) // 2
        return score_together(model, requests[:middle]) + score_together(model, requests[middle:])
    results: list[Scores | ModelFailedError] = []
    start = 0
    for size in sizes:
        part = slice(start, start + size)
        results.append(scores.at(part))
        start += size
    return results
