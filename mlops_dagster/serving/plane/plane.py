"""The data plane without HTTP: inference, refused requests, and feedback."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from itertools import count
from weakref import WeakKeyDictionary

from mlops_dagster.clock import ReplayedClock, SystemClock
from mlops_dagster.errors import (
    InvalidFeaturesError,
    InvalidInputError,
    InvalidLabelsError,
    ModelFailedError,
    OnHoldError,
    StorageError,
    UnlikeTrainingError,
    VersionNotFoundError,
)
from mlops_dagster.predictions import FeedbackResult
from mlops_dagster.serving.deployed.deployments import Deployments
from mlops_dagster.serving.deployed.in_force import InForce
from mlops_dagster.serving.deployed.loaded_model import Columns, LoadedModel, take_features
from mlops_dagster.serving.plane.abandonable import AbandonableWorker
from mlops_dagster.serving.plane.batching import Batcher
from mlops_dagster.serving.plane.calls import (
    NO_COLUMNS,
    InferenceRequestContext,
    RejectedRequest,
    ScoringResult,
    ScoringTask,
    timed_out,
)
from mlops_dagster.serving.plane.known_tasks import KnownTasks, check_labels
from mlops_dagster.serving.plane.router import Route, choose
from mlops_dagster.serving.plane.scoring import Scorer
from mlops_dagster.serving.protocol.infer import Answer, Column, Headers, InferRequest, read_request
from mlops_dagster.serving.protocol.tensors import shown
from mlops_dagster.serving.telemetry.telemetry import Telemetry
from mlops_dagster.serving.telemetry.tracing import TraceContext
from mlops_dagster.stores import Stores
from mlops_dagster.tasks import UNKNOWN_TASK, joined

WALL = SystemClock()


class DataPlane:
    """The data plane of one worker, which answers requests; its methods are called from one event loop."""

    def __init__(
        self,
        process: str,
        stores: Stores,
        deployments: Deployments,
        tasks: KnownTasks,
        scorer: Scorer,
        telemetry: Telemetry,
    ) -> None:
        self._process = process
        self._stores = stores
        self._deployments = deployments
        self._tasks = tasks
        self._scorer = scorer
        self._telemetry = telemetry
        self._patience = stores.settings.predict_timeout
        self._ids = count()
        self._batchers: WeakKeyDictionary[LoadedModel, Batcher[InferenceRequestContext, ScoringResult, Answer]] = (
            WeakKeyDictionary()
        )
        self._rejections: Batcher[RejectedRequest, None, None] = Batcher(
            AbandonableWorker("rejections"),
            lambda rejections: [None] * len(rejections),
            scorer.reject,
            None,
            self._patience,
        )

    async def infer(
        self, model: str, body: bytes, version: str | None, headers: Headers, trace: TraceContext
    ) -> Answer:
        """Return the answer to an infer request, as soon as its record is durable.

        Raises InvalidInputError (recorded as rejected), OnHoldError (as held), ModelFailedError (as failed),
        NotFoundError, StorageError.
        """
        started = time.perf_counter()
        try:
            return await self._infer(model, body, version, headers, trace, started)
        except StorageError as error:  # on no record: a fault of the platform, which only the metrics can tell
            refused = self._telemetry.arm(model, "", "none").refused
            refused("failed", [time.perf_counter() - started], [error.code])
            raise

    async def _infer(
        self, model: str, body: bytes, version: str | None, headers: Headers, trace: TraceContext, started: float
    ) -> Answer:
        received_at, name = WALL.now(), self._new_id()
        in_force = self._deployments.get(model)
        request, event_time, route, unanswered = None, self._stores.clock.now(), None, NO_COLUMNS
        try:
            request = read_request(body, headers, self._stores.settings.max_rows)
            event_time = self._event_time(request)
            if in_force.on_hold is not None:
                unanswered = _unanswered(in_force, request, version)
                raise OnHoldError(in_force.on_hold)
            route, loaded = await self._route(in_force, request, name, version)
            loaded.outputs.check(request.outputs)
            inputs = request.named_columns(loaded.schema)
            scoring = _scoring(in_force, route, loaded, inputs)
            self._guard(in_force, route, loaded, inputs)
        except (InvalidInputError, OnHoldError) as error:
            await self._rejections.submit(
                RejectedRequest(
                    id=(request and request.id) or name,
                    name=name,
                    model=model,
                    version=route.version if route else "",
                    key=request.routing_key if request else None,
                    event_time=event_time,
                    received_at=received_at,
                    latency_ms=(time.perf_counter() - started) * 1000,
                    error=error,
                    body=body,
                    was_read=request is not None,
                    trace=trace,
                    columns=unanswered,
                )
            )
            raise
        call = InferenceRequestContext(
            request.id or name, name, in_force, request, inputs, event_time, received_at, started, trace, scoring
        )
        return await self._batcher(model, loaded).submit(call)

    async def refuse(self, model: str, error: InvalidInputError, trace: TraceContext) -> None:
        """Record an infer request whose body could not be read. Raises ModelNotFoundError, StorageError."""
        self._deployments.get(model)
        name = self._new_id()
        rejection = RejectedRequest(
            id=name,
            name=name,
            model=model,
            version="",
            key=None,
            event_time=self._stores.clock.now(),
            received_at=WALL.now(),
            latency_ms=0.0,
            error=error,
            body=b"",
            was_read=False,
            trace=trace,
        )
        await self._rejections.submit(rejection)

    async def feedback(
        self, model: str, labels: Sequence[tuple[str, object, datetime | None]], actor: str | None
    ) -> FeedbackResult:
        """Record labels, all or none, as (prediction id, label, time it became known, or None for now), from `actor`.

        Raises NotFoundError, InvalidInputError for a label that the model's task cannot read, and InvalidLabelsError if
        a label is no truth of it, such as no class of the model.
        """
        in_force = self._deployments.get(model)
        read = (in_force.task or UNKNOWN_TASK).read_truth
        truths = [(prediction_id, read(label), at) for prediction_id, label, at in labels]
        await self._check_labels(in_force, [label for _, label, _ in truths])
        for _, _, at in labels:
            self._at(at)
        result = await asyncio.to_thread(
            self._stores.feedback.take, truths, model=model, actor=actor, now=self._at(None)
        )
        self._telemetry.labels.received(model, result, in_force.task or UNKNOWN_TASK)
        return result

    async def _check_labels(self, in_force: InForce, labels: Sequence[str]) -> None:
        if in_force.task is not None and in_force.task.accepted(set(labels)).issuperset(labels):
            return
        model = in_force.deployment.model
        # The label may be a class of a version that was asked for by name, or of a former champion.
        known = await asyncio.to_thread(self._tasks.of, model)
        task = joined(each for each in (in_force.task, known) if each is not None)
        try:
            check_labels(model, labels, task)
        except InvalidLabelsError as error:
            self._telemetry.labels.refused(model, error.refused)
            raise

    def _event_time(self, request: InferRequest) -> datetime:
        if request.event_time is not None and not self._stores.settings.accept_event_time:
            raise InvalidInputError("`event_time` is for replayed traffic; MLOPS_ACCEPT_EVENT_TIME=true accepts it")
        if request.event_time is None and self._stores.settings.accept_event_time:
            raise InvalidInputError(
                "requests are replayed here (MLOPS_ACCEPT_EVENT_TIME=true), so each says when it happened: add the "
                "parameter `event_time`, or run the server without that setting"
            )
        return self._at(request.event_time)

    def _at(self, time: datetime | None) -> datetime:
        """Return `time`, to which a replayed clock is advanced; the clock's time for None."""
        clock = self._stores.clock
        if time is None:
            return clock.now()
        if isinstance(clock, ReplayedClock):
            clock.advance_to(time)
        return time

    def _new_id(self) -> str:
        """Return a new id, unique by the name of the process, which spares the system call of a random one."""
        return f"{self._process}-{next(self._ids):08x}"  # of one width: ids sort in the order in which they were made

    async def _route(
        self, in_force: InForce, request: InferRequest, name: str, version: str | None
    ) -> tuple[Route, LoadedModel]:
        deployment = in_force.deployment
        named = version or request.version
        if request.arm is not None:
            named = deployment.champion if request.arm == "champion" else deployment.canary
            if named is None:
                raise VersionNotFoundError(f"model {deployment.model!r} has no {request.arm} now")
        if named is not None:
            loaded = await self._deployments.named(deployment.model, named)
            return Route(loaded.version, "named", 1.0), loaded
        if in_force.unavailable is not None:
            raise StorageError(in_force.unavailable)
        route = choose(deployment, request.routing_key or name)
        return route, in_force.versions[route.version]

    def _guard(self, in_force: InForce, route: Route, loaded: LoadedModel, inputs: Mapping[str, Column]) -> None:
        """Check the rows by the champion's guard, so that both arms refuse the same requests.

        A version that was asked for by name has its own guard. Raises UnlikeTrainingError if the policy is to reject.
        """
        deployment = in_force.deployment
        policy = deployment.guard
        if policy.mode == "off":
            return
        judge = loaded if route.role == "named" else in_force.versions.get(deployment.champion or "", loaded)
        found = judge.guard(policy.stretch).violations(inputs)
        if not found:
            return
        self._telemetry.unlike_training(deployment.model, found)
        if policy.mode == "reject":
            told = "; ".join(map(str, found))
            raise UnlikeTrainingError(f"unlike the training data of {deployment.model} {judge.version}: {told}")

    def _batcher(self, model: str, version: LoadedModel) -> Batcher[InferenceRequestContext, ScoringResult, Answer]:
        """Return the batcher of a version, which has a separate thread: a slow version makes no other one wait."""
        batcher = self._batchers.get(version)
        if batcher is None:
            batcher = self._batchers[version] = Batcher(
                AbandonableWorker(f"version {version.version}"),
                self._scorer.score,
                self._scorer.settle,
                timed_out(version, self._patience),
                self._patience,
                partial(self._telemetry.waiting, model, version.version),
            )
        return batcher


def _unanswered(in_force: InForce, request: InferRequest, version: str | None) -> Columns:
    """Return the columns that the champion would have scored but for the hold; they show when the hold can end.

    No columns for requests for a named version or arm, and for requests that the champion's schema refuses.
    """
    champion = in_force.versions.get(in_force.deployment.champion or "")
    if champion is None or version or request.version or request.arm:
        return NO_COLUMNS
    try:
        return take_features(champion.schema, request.named_columns(champion.schema))
    except InvalidInputError:
        return NO_COLUMNS


def _scoring(in_force: InForce, route: Route, loaded: LoadedModel, inputs: Mapping[str, Column]) -> ScoringTask:
    unknown = inputs.keys() - in_force.features - set(loaded.schema.names)
    if unknown:
        raise InvalidFeaturesError(f"unknown features {shown(sorted(unknown))}; the model takes {loaded.schema.names}")
    try:
        return ScoringTask(loaded, route.role, route.weight, take_features(loaded.schema, inputs))
    except InvalidFeaturesError as error:
        champion = in_force.versions.get(in_force.deployment.champion or "")
        if route.role != "canary" or champion is None:
            raise
        take_features(champion.schema, inputs)
        refusal = ModelFailedError(f"canary {loaded.version} refuses what the champion accepts: {error}")
        return ScoringTask(loaded, route.role, route.weight, NO_COLUMNS, refusal)
