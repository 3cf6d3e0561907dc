"""The route of inference, in plain ASGI because it is called thousands of times a second."""

import re

from starlette.types import ASGIApp, Receive, Scope, Send

from mlops_dagster.access import Access
from mlops_dagster.access import Scope as TokenScope
from mlops_dagster.errors import InvalidInputError, MlopsError
from mlops_dagster.serving.http.request_body import read_body
from mlops_dagster.serving.http.responses import error_response
from mlops_dagster.serving.plane.plane import DataPlane
from mlops_dagster.serving.protocol.infer import Answer
from mlops_dagster.serving.protocol.request_parameters import Headers
from mlops_dagster.serving.telemetry.tracing import TraceContext, Tracing

_PATH = re.compile(r"/v2/models/(?P<model>[^/]+)(?:/versions/(?P<version>[^/]+))?/infer")


class Inference:
    """The endpoint of inference, for the path parameters `model` and, optionally, `version`."""

    def __init__(self, plane: DataPlane, access: Access, tracing: Tracing, max_body_bytes: int) -> None:
        self._plane = plane
        self._access = access
        self._tracing = tracing
        self._max_bytes = max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path_params"]
        headers: Headers = dict(scope["headers"])
        trace = self._tracing.begin(headers.get(b"traceparent", b"").decode("latin-1") or None)
        try:
            answer = await self._answer(path["model"], path.get("version"), headers, trace, receive)
        except MlopsError as error:
            response = error_response(error)
            response.headers["traceparent"] = trace.traceparent
            await response(scope, receive, send)
            return
        await send({"type": "http.response.start", "status": 200, "headers": _headers(answer, trace)})
        await send({"type": "http.response.body", "body": answer.body})

    async def _answer(
        self, model: str, version: str | None, headers: Headers, trace: TraceContext, receive: Receive
    ) -> Answer:
        self._access.check(headers, TokenScope.INFER)
        try:
            body = await read_body(headers, receive, self._max_bytes)
        except InvalidInputError as error:
            await self._plane.refuse(model, error, trace)
            raise
        return await self._plane.infer(model, body, version, headers, trace)


class InferFastPath:
    """Middleware that takes inference past the router and all other middleware; other requests go to `others`."""

    def __init__(self, others: ASGIApp, inference: Inference) -> None:
        self._others = others
        self._inference = inference

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = _PATH.fullmatch(scope["path"]) if scope["type"] == "http" and scope["method"] == "POST" else None
        if path is None:
            await self._others(scope, receive, send)
        else:
            await self._inference({**scope, "path_params": path.groupdict()}, receive, send)


def _headers(answer: Answer, trace: TraceContext) -> list[tuple[bytes, bytes]]:
    headers = [
        (b"content-length", b"%d" % len(answer.body)),
        (b"content-type", b"application/json" if answer.json_length is None else b"application/octet-stream"),
        (b"traceparent", trace.traceparent.encode()),
    ]
    if answer.json_length is not None:
        headers.append((b"inference-header-content-length", b"%d" % answer.json_length))
    return headers
