"""Answers in JSON, and answers for errors."""

import orjson
from starlette.responses import Response

from mlops_dagster.access.http_status import status_of
from mlops_dagster.errors import MlopsError
from mlops_dagster.serving.protocol.tensors import Json


def to_json(content: Json, status: int = 200) -> Response:
    """Return an answer with `content` as its JSON body."""
    return Response(orjson.dumps(content), status_code=status, media_type="application/json")


def error_response(error: MlopsError) -> Response:
    """Return the answer to a request that failed with `error`."""
    status = status_of(error)
    response = to_json({"error": error.message, "code": error.code}, status)
    if status == 401:
        response.headers["WWW-Authenticate"] = 'Bearer realm="mlops"'
    return response
