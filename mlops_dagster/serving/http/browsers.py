"""Protection from foreign web pages that send requests through the browser of a person who has access."""

from starlette.types import ASGIApp, Receive, Scope, Send

from mlops_dagster.access import Access, Names
from mlops_dagster.errors import ForeignRequestError, InvalidInputError, MlopsError, UnsupportedContentError
from mlops_dagster.serving.http.responses import error_response
from mlops_dagster.serving.protocol.tensors import shown
from mlops_dagster.settings import Settings

_READS = frozenset({"GET", "HEAD", "OPTIONS"})


class OwnPagesOnly:
    """Middleware that refuses requests which a foreign web page may have made a browser send.

    - A page whose owner lets its name point to this machine (DNS rebinding) is recognized by the header Host. A page
      cannot send a token that it does not know, so the header is checked only where tokens are not needed.
    - A page of another origin is recognized by the header Origin, which browsers send with every POST.
    - Older browsers sent no Origin with a form. Before they send a type of content other than the three that a form may
      have, they ask for permission, which the data plane does not give; so only JSON and binary tensors are taken.
    """

    def __init__(self, app: ASGIApp, access: Access, settings: Settings) -> None:
        self._app = app
        self._access = access
        self._own = Names(settings, settings.host)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            try:
                self._check(scope)
            except MlopsError as error:
                await error_response(error)(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _check(self, scope: Scope) -> None:
        host: bytes | None = None
        origin: bytes | None = None
        kinds: list[bytes] = []
        for name, value in scope["headers"]:
            if name == b"host":
                if host is not None:
                    raise InvalidInputError("the request has two headers Host; send one")
                host = value
            elif name == b"origin":
                origin = value if origin is None else b"null"
            elif name == b"content-type":
                kinds.append(value)
        if host is None and scope["http_version"] != "1.0":
            raise InvalidInputError("the request has no header Host")
        if host is not None and not self._access.needs_tokens() and not self._own.has(host):
            raise ForeignRequestError(
                f"the data plane goes by no name {shown(host.decode('latin-1'))}; set MLOPS_ALLOWED_HOSTS if it should"
            )
        if scope["method"] in _READS:
            return
        if origin is not None and not self._own.is_origin(origin, host):
            raise ForeignRequestError(
                f"pages of {shown(origin.decode('latin-1'))} may not change anything here; "
                "set MLOPS_ALLOWED_HOSTS if they should"
            )
        for kind in kinds:
            if not is_data(kind):
                raise UnsupportedContentError(
                    f"Content-Type is {shown(kind.decode('latin-1'))}; send application/json, "
                    "or application/octet-stream for binary tensors"
                )


def is_data(content_type: bytes) -> bool:
    """Return whether a browser sends this type of content to other origins only after it got permission.

    >>> [is_data(b"Application/JSON; charset=utf-8"), is_data(b"text/plain;application/json")]
    [True, False]
    """
    kind = content_type.partition(b";")[0].strip().lower()
    return kind in (b"application/json", b"application/octet-stream")
