"""Answers of the control room: pages, parts of pages, and pages about errors."""

from hashlib import sha256
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from mlops_dagster.access.http_status import status_of
from mlops_dagster.board.rendering import render
from mlops_dagster.errors import MlopsError


def unless_known(request: Request, html: str, headers: dict[str, str]) -> Response:
    """Return the page with its ETag, or 304 if the caller has it; `headers` are of both."""
    tag = f'W/"{sha256(html.encode()).hexdigest()[:32]}"'
    headers = {**headers, "ETag": tag}
    known = request.headers.get("if-none-match", "")
    if tag in (each.strip() for each in known.split(",")):
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    return HTMLResponse(html, headers=headers)


def error_page(error: MlopsError, root: str) -> Response:
    """Return the page about an error, with its status; a browser then asks for a token if one is needed."""
    response = failure_page(status_of(error), error.message, error.code, root)
    if response.status_code == HTTPStatus.UNAUTHORIZED:
        response.headers["WWW-Authenticate"] = 'Basic realm="mlops control room: the token is the password"'
    return response


def failure_page(status: int, message: str, code: str, root: str) -> Response:
    """Return the page about a failure."""
    words = HTTPStatus(status).phrase.lower()
    html = render("error", status=status, words=words, message=message, code=code, root=root)
    return HTMLResponse(html, status_code=status)
