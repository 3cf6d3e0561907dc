"""The HTTP app of the data plane: Open Inference Protocol v2, feedback, metrics, flush."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from mlops_dagster.access import Access, Scope
from mlops_dagster.errors import (
    ForbiddenError,
    InvalidInputError,
    MlopsError,
    PredictionNotFoundError,
    UnauthenticatedError,
)
from mlops_dagster.serving.http.browsers import OwnPagesOnly
from mlops_dagster.serving.http.infer import Inference, InferFastPath
from mlops_dagster.serving.http.request_body import read_body
from mlops_dagster.serving.http.responses import error_response, to_json
from mlops_dagster.serving.protocol.infer import read_object
from mlops_dagster.serving.protocol.metadata import describe_model, describe_server
from mlops_dagster.serving.protocol.openapi import document
from mlops_dagster.serving.protocol.request_parameters import Headers, read_time
from mlops_dagster.serving.protocol.tensors import Json, shown
from mlops_dagster.serving.service import Service, clock_for
from mlops_dagster.settings import Settings


def create_app(settings: Settings, name: str | None = None, marks: Path | None = None) -> Starlette:
    """Return the data plane's app over the stores in `settings.home`, which are opened here; it serves once started up.

    Raises HomeNotWritableError, and RefusedError where others could reach the data plane without a token.
    """
    access = Access(settings, settings.host)
    service = Service(settings, clock_for(settings), name, marks)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        await asyncio.to_thread(service.start)
        yield
        await asyncio.to_thread(service.stop)

    inference = Inference(service.plane, access, service.tracing, settings.max_body_bytes)
    api = Api(service, access, settings)
    model, one = "/v2/models/{model}", "/v2/models/{model}/versions/{version}"
    app = Starlette(
        routes=[
            Route(f"{model}/infer", inference, methods=["POST"]),
            Route(f"{one}/infer", inference, methods=["POST"]),
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
            Route("/openapi.json", api.openapi),
        ],
        lifespan=lifespan,
        middleware=[Middleware(OwnPagesOnly, access, settings), Middleware(InferFastPath, inference)],
        exception_handlers={MlopsError: on_error, HTTPException: on_http_error},
    )
    app.router.redirect_slashes = False  # it would lead to http:// behind a proxy that speaks TLS
    app.state.service = service
    return app


class Api:
    """The routes but inference, a method each; health, server metadata and the OpenAPI document need no token."""

    def __init__(self, service: Service, access: Access, settings: Settings) -> None:
        self._service = service
        self._access = access
        self._label_days = settings.label_days
        self._max_bytes, self._max_labels = settings.max_body_bytes, settings.max_rows

    async def feedback(self, request: Request) -> Response:
        """Take labels, {"labels": [{"prediction_id", "label", "at"?}]}; 404 if none of the predictions is known."""
        body, actor = await self._body(request, Scope.FEEDBACK)
        labels = read_labels(read_object(body), self._max_labels)
        result = await self._service.plane.feedback(request.path_params["model"], labels, actor)
        if result.unknown and not result.accepted:
            raise PredictionNotFoundError(
                f"no such predictions of this model in the last {self._label_days} days (MLOPS_LABEL_DAYS): "
                f"{shown(result.unknown)}"
            )
        return to_json(
            {
                "accepted": result.accepted,
                "corrections": result.corrections,
                "pending": result.pending,
                "unknown": result.unknown,
            }
        )

    async def flush(self, request: Request) -> Response:
        """Wait until all answers so far are in the rollups, and with {"log": true} in the log as well."""
        body, _ = await self._body(request, Scope.ADMIN)
        log = read_object(body).get("log", False) if body else False
        if not isinstance(log, bool):
            raise InvalidInputError(f"`log` must be true or false, got {shown(log)}")
        return to_json(await asyncio.to_thread(self._service.flush, log=log))

    async def server(self, _request: Request) -> Response:
        return to_json(describe_server())

    async def live(self, _request: Request) -> Response:
        return to_json({"live": True})

    async def ready(self, _request: Request) -> Response:
        """Return 200 if every model that has a champion can answer and its answers can be recorded, else 503.

        With `warnings` of faults off the response path, if there are any.
        """
        reasons = await asyncio.to_thread(self._service.not_ready)
        content: dict[str, Json] = {"ready": not reasons, "reasons": reasons}
        if warnings := await asyncio.to_thread(self._service.warnings):
            content["warnings"] = warnings
        return to_json(content, 503 if reasons else 200)

    async def model(self, request: Request) -> Response:
        self._access.check(headers_of(request))
        path = request.path_params
        self._service.deployments.get(path["model"])
        versions, schema = await asyncio.to_thread(
            self._service.deployments.described, path["model"], path.get("version")
        )
        return to_json(describe_model(path["model"], versions, schema))

    async def model_ready(self, request: Request) -> Response:
        path = request.path_params
        name, error = await self._service.deployments.readiness(
            path["model"], path.get("version"), may_load=self._may_infer(request)
        )
        error = error or await asyncio.to_thread(self._service.cannot_record)
        content: dict[str, Json] = {"name": path["model"], "version": name, "ready": error is None}
        return to_json(content if error is None else {**content, "error": error}, 200 if error is None else 503)

    def _may_infer(self, request: Request) -> bool:
        try:
            self._access.check(headers_of(request), Scope.INFER)
        except (UnauthenticatedError, ForbiddenError):
            return False
        return True

    async def metrics(self, request: Request) -> Response:
        self._access.check(headers_of(request))
        metrics = await asyncio.to_thread(self._service.metrics)
        return Response(metrics, media_type="text/plain; version=0.0.4; charset=utf-8")

    async def openapi(self, _request: Request) -> Response:
        return to_json(document())

    async def _body(self, request: Request, scope: Scope) -> tuple[bytes, str | None]:
        """Return the body, and the name of the token that came with it; raises as `Access.check` and `read_body` do."""
        headers = headers_of(request)
        actor = self._access.check(headers, scope)
        return await read_body(headers, request.receive, self._max_bytes), actor


def headers_of(request: Request) -> Headers:
    return dict(request.scope["headers"])


def read_labels(content: dict[str, Json], limit: int) -> list[tuple[str, Json, datetime | None]]:
    """Return the labels of a feedback body, at most `limit`; raises InvalidInputError."""
    labels = content.get("labels")
    if not isinstance(labels, list) or not labels:
        raise InvalidInputError('give {"labels": [{"prediction_id": ..., "label": ...}]} with one label at least')
    if len(labels) > limit:
        raise InvalidInputError(f"there are {len(labels)} labels; this server takes up to {limit} at once")
    return [_label(entry) for entry in labels]


def _label(entry: Json) -> tuple[str, Json, datetime | None]:
    fields = entry if isinstance(entry, dict) else {}
    prediction_id, label, at = fields.get("prediction_id"), fields.get("label"), fields.get("at")
    if not isinstance(prediction_id, str) or "label" not in fields or not (at is None or isinstance(at, str)):
        raise InvalidInputError(
            "each label needs a `prediction_id`, a string, and a `label`, and may have a time `at`, a string; got "
            f"{shown(entry)}"
        )
    if label is None or (isinstance(label, str) and not label.strip()):
        raise InvalidInputError(f"a label that is not known yet is not sent; got {shown(entry)}")
    return prediction_id, label, None if at is None else read_time(at)


async def on_error(_request: Request, error: Exception) -> Response:
    """Return the answer to a request that failed with an error of this project."""
    if not isinstance(error, MlopsError):
        raise error
    return error_response(error)


async def on_http_error(_request: Request, error: Exception) -> Response:
    """Return the answer to a request for an unknown route or method."""
    if not isinstance(error, HTTPException):
        raise error
    code = {404: "not_found", 405: "method_not_allowed"}.get(error.status_code, "http_error")
    response = to_json({"error": error.detail, "code": code}, error.status_code)
    response.headers.update(error.headers or {})
    return response
