"""Scoring off the response path: shadows, and the other arm of a canary, score the same requests."""

import logging
import threading
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Sequence
from weakref import WeakKeyDictionary

from mlops_dagster.errors import InvalidFeaturesError, MlopsError
from mlops_dagster.predictions import Answered, Role, ShedRecord
from mlops_dagster.serving.deployed.loaded_model import LoadedModel, take_features
from mlops_dagster.serving.plane.abandonable import AbandonableWorker
from mlops_dagster.serving.plane.calls import NO_COLUMNS, InferenceRequestContext, ScoringResult, ScoringTask, timed_out
from mlops_dagster.serving.plane.router import position
from mlops_dagster.serving.telemetry.telemetry import Telemetry
from mlops_dagster.serving.upkeep.unsettled import Arm

logger = logging.getLogger(__name__)

Task = tuple[InferenceRequestContext, ScoringTask]

# Some seconds of traffic, and some tens of megabytes.
MAX_WAITING = 20_000
MAX_BATCH = 512
# No caller waits for these scorings: they are gathered into large batches, at a fraction of the cost.
LINGER_SECONDS = 0.5


class ShadowScorer:
    """A bounded queue of scorings, and one thread that does them; those that do not fit are left out and counted.

    `score` and `settle` get tasks of one version at a time; `shed` records the number of rows left out, by arm.
    `waiting` is called with rows by arm, and 1 if they wait now, or -1 if they wait no more: they were scored, or
    recorded as left out.
    """

    def __init__(
        self,
        score: Callable[[Sequence[Task]], Sequence[ScoringResult]],
        settle: Callable[[Sequence[Task], Sequence[ScoringResult]], None],
        shed: Callable[[Sequence[ShedRecord]], None],
        telemetry: Telemetry,
        patience: float,
        limit: int = MAX_WAITING,
        waiting: Callable[[Counter[Arm], int], None] = lambda *_: None,
    ) -> None:
        self._score = score
        self._settle = settle
        self._record_shed = shed
        self._note_waiting = waiting
        self._left_out: Counter[Arm] = Counter()
        self._telemetry = telemetry
        telemetry.begin_task("off path")
        self._patience = patience
        self._limit = limit
        self._tasks: deque[Task] = deque()
        self._changed = threading.Condition()
        self._offered = self._done = 0
        self._stopping = self._hurried = False
        self._lanes: WeakKeyDictionary[LoadedModel, AbandonableWorker] = WeakKeyDictionary()
        self._thread = threading.Thread(target=self._run, name="off-path", daemon=True)
        self._thread.start()

    def offer(self, answered: Sequence[tuple[InferenceRequestContext, Answered]]) -> None:
        """Queue the scorings of other versions for requests that were answered, each given with its answer."""
        tasks = [(call, scoring) for call, beside in answered for scoring in others(call, beside)]
        if not tasks:
            return
        with self._changed:
            room = self._limit - len(self._tasks)
            self._tasks.extend(tasks[:room])
            self._offered += len(tasks[:room])
            self._note_waiting(_rows(tasks), 1)
            self._changed.notify_all()
        self._shed(tasks[room:])
        with self._changed:
            self._note_waiting(_rows(tasks[room:]), -1)

    def drain(self) -> None:
        """Return once all scorings that were offered before the call are done."""
        with self._changed:
            offered = self._offered
            self._hurried = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._done >= offered)

    def close(self) -> None:
        """Finish the queue, and end the thread."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        self._thread.join()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._tasks or self._stopping)
                self._changed.wait_for(self._has_batch, LINGER_SECONDS)
                self._hurried = False
                batch = [self._tasks.popleft() for _ in range(min(MAX_BATCH, len(self._tasks)))]
                self._telemetry.queued(len(self._tasks))
            if not batch:
                return
            by_version: defaultdict[LoadedModel, list[Task]] = defaultdict(list)
            for task in batch:
                by_version[task[1].version].append(task)
            try:
                for version, tasks in by_version.items():
                    self._work(version, tasks)
                self._tell_what_was_left_out()
            except BaseException as error:  # if the thread ended, later tasks and waiting callers would hang
                self._telemetry.failed("off path")
                logger.error("scorings off the response path are lost: %s", type(error).__name__)
            finally:
                with self._changed:
                    self._done += len(batch)
                    self._note_waiting(_rows(batch), -1)
                    self._changed.notify_all()

    def _work(self, version: LoadedModel, tasks: list[Task]) -> None:
        """Have a version score its tasks in its thread; if it hangs, the other versions wait for `patience` seconds."""
        lane = self._lanes.get(version)
        if lane is None:
            lane = self._lanes[version] = AbandonableWorker(f"beside: {version.version}")
        ended = threading.Event()

        def settle(outcomes: Sequence[ScoringResult]) -> None:
            try:
                self._settle(tasks, outcomes)
            except MlopsError as error:
                logger.error("%d scorings off the response path are lost: %s", len(tasks), error.told)
                self._shed(tasks)
            except BaseException as error:
                self._telemetry.failed("off path")
                logger.error("%d scorings off the response path are lost: %s", len(tasks), type(error).__name__)
                self._shed(tasks)
            finally:
                ended.set()

        late = timed_out(version, self._patience)
        give_up = lane.start(lambda: self._score(tasks), lambda: [late] * len(tasks), settle)
        if not ended.wait(self._patience):
            give_up()
            ended.wait()

    def _has_batch(self) -> bool:
        return len(self._tasks) >= MAX_BATCH or self._hurried or self._stopping

    def _shed(self, tasks: Sequence[Task]) -> None:
        for call, its in tasks:
            self._telemetry.shed(call.in_force.deployment.model, its.version.version, its.role, 1)
        with self._changed:
            self._left_out.update(rows := _rows(tasks))
            self._note_waiting(rows, 1)

    def _tell_what_was_left_out(self) -> None:
        with self._changed:
            left_out, self._left_out = self._left_out, Counter()
        if not left_out:
            return
        try:
            self._record_shed([ShedRecord(*arm, rows) for arm, rows in left_out.items()])
        except MlopsError:
            logger.exception("scorings that were left out off the response path are recorded later")
            with self._changed:
                self._left_out.update(left_out)
        else:
            with self._changed:
                self._note_waiting(left_out, -1)


def _rows(tasks: Sequence[Task]) -> Counter[Arm]:
    rows: Counter[Arm] = Counter()
    for call, its in tasks:
        minute = call.event_time.replace(second=0, microsecond=0)
        rows[call.in_force.deployment.model, its.version.version, its.role, its.weight, minute] += call.request.rows
    return rows


def others(call: InferenceRequestContext, beside: Answered) -> list[ScoringTask]:
    """Return the scorings of a request in addition to its answer: by every shadow and, for a share, the other arm.

    A request for a version by name is left out of all comparisons, and has none.
    """
    deployment, versions = call.in_force.deployment, call.in_force.versions
    if call.scoring.role not in ("champion", "canary"):
        return []
    weight = deployment.canary_weight
    scorings = [_scoring(call, versions[name], "shadow", weight, beside) for name in deployment.shadows]
    if deployment.canary is not None and position("paired", call.name) < call.in_force.paired_share:
        other = deployment.champion if call.scoring.role == "canary" else deployment.canary
        if other is not None:
            scorings.append(_scoring(call, versions[other], "paired", weight, beside))
    return scorings


def _scoring(
    call: InferenceRequestContext, version: LoadedModel, role: Role, weight: float, beside: Answered
) -> ScoringTask:
    try:
        return ScoringTask(version, role, weight, take_features(version.schema, call.inputs), beside=beside)
    except InvalidFeaturesError as error:
        return ScoringTask(version, role, weight, NO_COLUMNS, refusal=error, beside=beside)
