"""The routes of the OpenAPI document: their parameters, bodies, answers and errors."""

from functools import cache
from importlib.metadata import version

from mlops_dagster.access import Scope
from mlops_dagster.serving.protocol.openapi.schemas import NAME, TEXT, ref, schemas
from mlops_dagster.serving.protocol.tensors import Json

ERRORS = {
    400: "The request is not as it must be; the error says what is wrong. Recorded as rejected.",
    401: "A token is needed, or the one that was sent is not known.",
    403: "The token is not for this; or the page of somebody else may have sent it (headers Host and Origin).",
    404: "There is no such model, version or prediction.",
    408: "Not all of the request has arrived in time (MLOPS_HEAD_SECONDS, MLOPS_BODY_SECONDS).",
    409: "A promise of the platform forbids it, such as a signature that is not trusted.",
    413: "The body is larger than MLOPS_MAX_BODY_BYTES.",
    415: "The body is neither JSON nor binary tensors.",
    431: "The head has more than 32 KiB, or more than 100 headers.",
    500: "The version failed on this request. Recorded as failed.",
    503: "A store, or the version, cannot be used now, the model is on hold, or too many call at once; try again.",
    504: "The version did not answer within MLOPS_PREDICT_TIMEOUT seconds. Recorded as failed.",
}
ANY = (400, 403, 408, 431, 503)
"""The statuses that any request may be answered with, before its route is known."""


@cache
def document() -> dict[str, Json]:
    """Return the whole OpenAPI document, as an object of JSON."""
    model, one = "/v2/models/{model}", "/v2/models/{model}/versions/{version}"
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "mlops_dagster data plane",
            "version": version("mlops-dagster"),
            "description": "Open Inference Protocol v2 with binary tensor data; feedback, metrics, flush. "
            "An answer is sent when its record is durable.",
        },
        "paths": {
            **{f"{path}/infer": {"post": _infer(path)} for path in (model, one)},
            **{
                path: {"get": _get("Metadata of a model", "ModelMetadata", 401, 404, path=path)}
                for path in (model, one)
            },
            **{f"{path}/ready": {"get": _ready(path)} for path in (model, one)},
            "/v1/models/{model}/feedback": {"post": _feedback()},
            "/v1/flush": {"post": _flush()},
            "/v2": {"get": _get("Metadata of the server", "ServerMetadata", is_open=True)},
            "/v2/health/live": {"get": _get("Whether the process answers", "Live", is_open=True)},
            "/v2/health/ready": {"get": _server_ready()},
            "/metrics": {"get": _metrics()},
            "/openapi.json": {"get": _get("This document", None, is_open=True)},
        },
        "components": {
            "schemas": schemas(),
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "Made by `mlops tokens create NAME --scope infer`. Needed once there is a token; "
                    "the roles named at each operation are its scopes.",
                }
            },
        },
        "security": [{"token": []}],
    }


def _infer(path: str) -> dict[str, Json]:
    answer = _answer("The outputs.", "InferResponse")
    answer["content"]["application/octet-stream"] = {
        "schema": {"description": "an InferResponse, then the data of its binary outputs"}
    }
    answer["headers"] = {
        "Inference-Header-Content-Length": {
            "description": "length of the JSON, if binary data follows it",
            "schema": {"type": "string", "pattern": "^[0-9]+$"},
        }
    }
    headers = [
        _header("x-mlops-routing-key", "as the parameter routing_key, which wins", NAME),
        _header("x-mlops-arm", "as the parameter arm, which wins", {"enum": ["champion", "canary"]}),
        _header(
            "Inference-Header-Content-Length", "length of the JSON, if binary data follows it", {"type": "integer"}
        ),
        _header("Content-Encoding", "of the body", {"enum": ["gzip", "deflate", "identity"]}),
    ]
    return {
        "operationId": _operation_id("infer", path),
        "summary": "Score rows",
        "description": "One tensor per feature, or one 2-D tensor with all features in the order of the metadata. "
        "The deployment decides who answers, unless a version is named or an arm is forced: no evidence, then.",
        "parameters": [*_path(path), *headers],
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {"schema": ref("InferRequest")},
                "application/octet-stream": {
                    "schema": {"description": "an InferRequest, then the data of its binary inputs"}
                },
            },
        },
        "responses": {"200": answer, **_errors(401, 404, 409, 413, 415, 500, 504)},
        "security": [{"token": [Scope.INFER]}],
    }


def _feedback() -> dict[str, Json]:
    path = "/v1/models/{model}/feedback"
    return {
        "operationId": "feedback",
        "summary": "Late ground truth",
        "description": "The first label of a prediction is evidence; another one is a correction, kept beside it. Ids "
        "are per model; one that was repeated is that of the first answer. A label that is not a class of the model is "
        "refused, with code `invalid_labels`, and all of its batch with it.",
        "parameters": _path(path),
        "requestBody": {"required": True, "content": _json("Feedback")},
        "responses": {
            "200": _answer("What became of the labels.", "FeedbackResult"),
            **_errors(401, 404, 413, 415),
        },
        "security": [{"token": [Scope.FEEDBACK]}],
    }


def _flush() -> dict[str, Json]:
    return {
        "operationId": "flush",
        "summary": "Bring all that was answered so far into the rollups, and into the log if asked to",
        "requestBody": {"required": False, "content": _json("Flush")},
        "responses": {"200": _answer("Done.", "Flushed"), **_errors(401, 413, 415)},
        "security": [{"token": [Scope.ADMIN]}],
    }


def _metrics() -> dict[str, Json]:
    text = {"description": "Prometheus's text format.", "content": {"text/plain": {"schema": TEXT}}}
    return {
        "operationId": "metrics",
        "summary": "Metrics for Prometheus",
        "responses": {"200": text, **_errors(401)},
    }


def _ready(path: str) -> dict[str, Json]:
    described = _get(
        "Whether a model (its champion) or a version is in memory, and not on hold",
        "ModelReady",
        404,
        is_open=True,
        path=f"{path}/ready",
    )
    described["responses"]["503"] = {
        "description": "It is not ready, or that cannot be found out now.",
        "content": {"application/json": {"schema": {"anyOf": [ref("ModelReady"), ref("Error")]}}},
    }
    return described


def _server_ready() -> dict[str, Json]:
    described = _get("Whether every model that has a champion can answer, and be recorded", "Ready", is_open=True)
    described["responses"]["503"] = _answer("Not now; it says why.", "Ready")
    return described


def _get(summary: str, schema: str | None, *errors: int, path: str = "", is_open: bool = False) -> dict[str, Json]:
    described: dict[str, Json] = {
        "operationId": _operation_id(schema or "openapi", path),
        "summary": summary,
        "responses": {"200": _answer(f"{summary}.", schema), **_errors(*errors)},
    }
    if path:
        described["parameters"] = _path(path)
    if is_open:
        described["security"] = []
    return described


def _json(schema: str | None) -> dict[str, Json]:
    return {"application/json": {"schema": {"type": "object"} if schema is None else ref(schema)}}


def _answer(description: str, schema: str | None) -> dict[str, Json]:
    return {"description": description, "content": _json(schema)}


def _errors(*statuses: int) -> dict[str, Json]:
    answers = {str(status): _answer(ERRORS[status], "Error") for status in sorted({*ANY, *statuses})}
    if "401" in answers:
        answers["401"]["headers"] = {"WWW-Authenticate": {"schema": TEXT, "required": True}}
    return answers


def _path(path: str) -> list[dict[str, Json]]:
    names = [name for name in ("model", "version") if f"{{{name}}}" in path]
    return [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}} for name in names
    ]


def _header(name: str, description: str, schema: Json) -> dict[str, Json]:
    return {"name": name, "in": "header", "required": False, "description": description, "schema": schema}


def _operation_id(what: str, path: str) -> str:
    return f"{what}OfVersion" if "{version}" in path else what
