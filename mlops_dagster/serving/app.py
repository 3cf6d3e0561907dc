"""The HTTP face of the data plane: Open Inference Protocol v2, feedback, metrics, flush."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from importlib.metadata import version

import orjson
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from mlops_dagster.clock import Clock
from mlops_dagster.errors import (
    ConflictError,
    CorruptedError,
    InvalidInputError,
    MlopsError,
    ModelTimeoutError,
    NotFoundError,
    PredictionNotFoundError,
    RefusedError,
    StorageError,
)
from mlops_dagster.serving.protocol import Json, describe, read_object, read_time
from mlops_dagster.serving.service import Service, clock_for
from mlops_dagster.settings import Settings

# First match wins. What is not here is the server's own failure.
STATUS: tuple[tuple[type[MlopsError], int], ...] = (
    (NotFoundError, 404),
    (InvalidInputError, 400),
    (ConflictError, 409),
    (RefusedError, 409),
    (StorageError, 503),
    (CorruptedError, 503),
    (ModelTimeoutError, 504),
)


def create_app(settings: Settings, clock: Clock | None = None) -> Starlette:
    """The data plane over the stores in `settings.home`; they are opened here, and served once the app starts up.

    Raises HomeNotWritableError.
    """
    service = Service(settings, clock or clock_for(settings))

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        await asyncio.to_thread(service.start)
        yield
        await asyncio.to_thread(service.stop)

    api = Api(service)
    model, one = "/v2/models/{model}", "/v2/models/{model}/versions/{version}"
    app = Starlette(
        routes=[
            Route(f"{model}/infer", api.infer, methods=["POST"]),
            Route(f"{one}/infer", api.infer, methods=["POST"]),
            Route("/v1/models/{model}/feedback", api.feedback, methods=["POST"]),
            Route("/v1/flush", api.flush, methods=["POST"]),
            Route("/v2", api.server),
            Route("/v2/health/live", api.live),
            Route("/v2/health/ready", api.ready),
            Route(model, api.model),
            Route(f"{model}/ready", api.model_ready),
            Route(one, api.model),
            Route(f"{one}/ready", api.model_ready),
            Route("/metrics", api.metrics),
        ],
        lifespan=lifespan,
        exception_handlers={MlopsError: on_error, HTTPException: on_http_error},
    )
    app.state.service = service
    return app


class Api:
    """One method a route."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def infer(self, request: Request) -> Response:
        path = request.path_params
        answer = await self._service.plane.infer(path["model"], await request.body(), path.get("version"))
        return Response(answer, media_type="application/json")

    async def feedback(self, request: Request) -> Response:
        """Late ground truth: {"labels": [{"prediction_id", "label", "at"?}]}. 404 when not one prediction is known."""
        labels = read_labels(read_object(await request.body()))
        result = await self._service.plane.feedback(request.path_params["model"], labels)
        if result.unknown and not result.accepted:
            raise PredictionNotFoundError(f"no such predictions of this model: {', '.join(result.unknown[:10])}")
        return to_json({"accepted": result.accepted, "corrections": result.corrections, "unknown": result.unknown})

    async def flush(self, request: Request) -> Response:
        """Wait until all that was answered so far is in the rollups; with {"log": true} in the log as well."""
        body = await request.body()
        log = bool(read_object(body).get("log")) if body else False
        return to_json(await asyncio.to_thread(self._service.flush, log=log))

    async def server(self, _request: Request) -> Response:
        return to_json({"name": "mlops_dagster", "version": version("mlops-dagster"), "extensions": []})

    async def live(self, _request: Request) -> Response:
        return to_json({"live": True})

    async def ready(self, _request: Request) -> Response:
        """Ready when every model that has a champion can answer, and what it answers can be recorded."""
        reasons = await asyncio.to_thread(self._service.not_ready)
        return to_json({"ready": not reasons, "reasons": reasons}, 503 if reasons else 200)

    async def model(self, request: Request) -> Response:
        path = request.path_params
        versions, schema = await asyncio.to_thread(
            self._service.deployments.described, path["model"], path.get("version")
        )
        return to_json(describe(path["model"], versions, schema))

    async def model_ready(self, request: Request) -> Response:
        path = request.path_params
        name, error = await asyncio.to_thread(self._service.deployments.readiness, path["model"], path.get("version"))
        content: dict[str, Json] = {"name": path["model"], "version": name, "ready": error is None}
        return to_json(content if error is None else {**content, "error": error}, 200 if error is None else 503)

    async def metrics(self, _request: Request) -> Response:
        return Response(self._service.telemetry.exposition(), media_type="text/plain; version=0.0.4; charset=utf-8")


def read_labels(content: dict[str, Json]) -> list[tuple[str, str, datetime | None]]:
    """The labels of a feedback body; raises InvalidInputError."""
    labels = content.get("labels")
    if not isinstance(labels, list) or not labels:
        raise InvalidInputError('give {"labels": [{"prediction_id": ..., "label": ...}]} with one label at least')
    read = []
    for entry in labels:
        prediction_id, label = (entry.get("prediction_id"), entry.get("label")) if isinstance(entry, dict) else (0, 0)
        if not isinstance(prediction_id, str) or not isinstance(label, str):
            raise InvalidInputError(f"each label needs a `prediction_id` and a `label`, both strings; got {entry!r}")
        at = entry.get("at")
        read.append((prediction_id, label, None if at is None else read_time(str(at))))
    return read


def to_json(content: Json, status: int = 200) -> Response:
    return Response(orjson.dumps(content), status_code=status, media_type="application/json")


async def on_error(_request: Request, error: Exception) -> Response:
    """The answer for an error of the project's own tree."""
    if not isinstance(error, MlopsError):
        raise error
    status = next((status for kind, status in STATUS if isinstance(error, kind)), 500)
    return to_json({"error": error.message, "code": error.code}, status)


async def on_http_error(_request: Request, error: Exception) -> Response:
    """The answer where there is no such route or method."""
    if not isinstance(error, HTTPException):
        raise error
    code = {404: "not_found", 405: "method_not_allowed"}.get(error.status_code, "http_error")
    return to_json({"error": error.detail, "code": code}, error.status_code)
