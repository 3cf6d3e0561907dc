"""The control room as a web app: it reads, and has no route that changes anything."""

from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Protocol, TypeAlias
from urllib.parse import urlencode

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from mlops_dagster.access import Access, Names
from mlops_dagster.board.answers import error_page, failure_page, unless_known
from mlops_dagster.board.documents import card_page, report_page
from mlops_dagster.board.guard import Guard
from mlops_dagster.board.rendering import render
from mlops_dagster.board.snapshot.entities import ExplainedDecision, Snapshot
from mlops_dagster.clock import parse_time
from mlops_dagster.errors import InvalidInputError, MlopsError
from mlops_dagster.stores import Stores

_STATIC = Path(__file__).with_name("static")
_CARD_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'"


class Look(Protocol):
    """A source of snapshots."""

    def __call__(self, at: datetime | None = None, *, page: int = 1, model: str | None = None) -> Snapshot:
        """Return the snapshot as of `at`, or of now; of one `model`, or of the page of all of them."""
        ...


Explain: TypeAlias = Callable[[int, Mapping[str, str]], ExplainedDecision]
"""Returns a decision by its number, replayed under a policy that has the given fields, as JSON."""


def create_app(stores: Stores, look: Look, explain: Explain) -> Starlette:
    """Return the app over the stores.

    Raises RefusedError where others could reach the control room without a token.
    """
    settings = stores.settings
    pages = Pages(stores, look, explain)
    return Starlette(
        routes=[
            Route("/", pages.room),
            Route("/live", pages.live),
            Route("/models/{model}", pages.room),
            Route("/models/{model}/versions/{version}", pages.card),
            Route("/reports/{model}/{kind}/{start}", pages.report),
            Route("/decisions/{decision:int}", pages.decision),
            Mount("/static", StaticFiles(directory=_STATIC), name="static"),
        ],
        middleware=[
            Middleware(Guard, Access(settings, settings.board_host), Names(settings, settings.board_host)),
            Middleware(GZipMiddleware, minimum_size=1_000),
        ],
        exception_handlers={MlopsError: _on_error, HTTPException: _on_http_error},
    )


class Pages:
    """The routes, a method each; stores are read on threads."""

    def __init__(self, stores: Stores, look: Look, explain: Explain) -> None:
        self._stores = stores
        self._look = look
        self._explain = explain

    async def room(self, request: Request) -> Response:
        """Return the control room of all models, or of one."""
        content = await run_in_threadpool(self._content, request)
        return HTMLResponse(await run_in_threadpool(render, "page", **content))

    async def live(self, request: Request) -> Response:
        """Return the part of the page that changes, or 304; the header As-Of has the time that it is about."""
        content = await run_in_threadpool(self._content, request)
        html = await run_in_threadpool(render, "poll", **content)
        snapshot = content["snapshot"]
        assert isinstance(snapshot, Snapshot)
        return unless_known(request, html, {"As-Of": snapshot.at.isoformat()})

    async def card(self, request: Request) -> Response:
        """Return the model card of a version, as `mlops models card --html` writes it."""
        html = await run_in_threadpool(card_page, self._stores, **request.path_params)
        return HTMLResponse(html, headers={"Content-Security-Policy": _CARD_POLICY})

    async def report(self, request: Request) -> Response:
        """Return the report of a kind on the period that begins at `start`, in its last revision."""
        model, kind = request.path_params["model"], request.path_params["kind"]
        start = _time(request.path_params["start"])
        content = await run_in_threadpool(report_page, self._stores, model, kind, start)
        return HTMLResponse(await run_in_threadpool(render, "report", root=_root(request), **content))

    async def decision(self, request: Request) -> Response:
        """Return the arithmetic of a decision; the parameters are fields of another policy to replay it under."""
        found = await run_in_threadpool(self._explain, request.path_params["decision"], request.query_params)
        return HTMLResponse(await run_in_threadpool(render, "decision", root=_root(request), decision=found))

    def _content(self, request: Request) -> dict[str, object]:
        """Return the content of the room's templates, by the names that they use."""
        query = request.query_params
        at = _time(query["at"]) if query.get("at") else None
        page, model = _page(query.get("page", "1")), request.path_params.get("model", query.get("model"))
        snapshot = self._look(at, page=page, model=model)
        watch = snapshot.watching
        alerts = snapshot.alerts.content
        opened = alerts.open if alerts is not None else 0
        when = {"at": query["at"]} if at is not None else {}
        return {
            "root": _root(request),
            "snapshot": snapshot,
            "at": snapshot.at,
            "past": snapshot.past,
            "title": f"{f'({opened}) ' if opened else ''}{model or 'Control room'} · {snapshot.name}",
            "query": _query(when),
            "live_query": _query({**({"model": model} if model else {}), **({"page": str(page)} if page > 1 else {})}),
            "page_query": _page_query(when),
            # Before a look that is known to be recent, nothing is shown as good.
            "unwatched": watch.unavailable != "" or watch.content is None or watch.content.level == "silent",
        }


def _page_query(when: Mapping[str, str]) -> Callable[[int], str]:
    return lambda page: _query({**when, "page": str(page)})


def _query(pairs: Mapping[str, str]) -> str:
    return f"?{urlencode(pairs)}" if pairs else ""


def _page(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 10**6:
        raise InvalidInputError(f"{text[:20]!r} is not the number of a page; pages begin with 1")
    return int(text)


def _time(text: str) -> datetime:
    try:
        return parse_time(text)
    except ValueError as error:
        raise InvalidInputError(f"{text[:40]!r} is not a time with a zone, such as 2026-03-01T06:00Z") from error


def _root(request: Request) -> str:
    return str(request.scope.get("root_path", ""))


async def _on_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, MlopsError)
    return error_page(error, _root(request))


async def _on_http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    message = "There is no such page." if error.status_code == 404 else "This page only reads: use GET."
    return failure_page(error.status_code, message, "not_found", _root(request))
