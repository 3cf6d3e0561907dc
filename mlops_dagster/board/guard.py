"""The gate of the control room: readers are let in, and answers carry the headers that protect them."""

from base64 import b64decode
from collections.abc import Mapping

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mlops_dagster.access import Access, Names
from mlops_dagster.access import Scope as TokenScope
from mlops_dagster.board.answers import error_page
from mlops_dagster.errors import ForeignRequestError, InvalidInputError, MlopsError

PROTECTION: Mapping[str, str] = {
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",
}


class Guard:
    """Middleware that lets readers in: those with a token of the scope `read`, or all of this machine without tokens.

    A program sends the token as `Authorization: Bearer TOKEN`. A browser asks its user for it, as the password of any
    name. Where no token is needed, a page whose owner lets its name point to this machine (DNS rebinding) is recognized
    by the header Host.
    """

    def __init__(self, app: ASGIApp, access: Access, names: Names) -> None:
        self._app = app
        self._access = access
        self._names = names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def protected(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in PROTECTION.items():
                    headers.setdefault(name, value)
            await send(message)

        try:
            self._check(dict(scope["headers"]))
        except MlopsError as error:
            await error_page(error, scope.get("root_path", ""))(scope, receive, protected)
            return
        await self._app(scope, receive, protected)

    def _check(self, headers: Mapping[bytes, bytes]) -> None:
        authorization = headers.get(b"authorization")
        self._access.check(
            {} if authorization is None else {b"authorization": as_bearer(authorization)}, TokenScope.READ
        )
        host = headers.get(b"host", b"")
        if not self._access.needs_tokens() and not self._names.has(host):
            raise ForeignRequestError("the control room goes by another name; set MLOPS_ALLOWED_HOSTS to this one")


def as_bearer(authorization: bytes) -> bytes:
    """Return the header with the password of HTTP Basic as the token. Raises InvalidInputError.

    >>> as_bearer(b"Basic YWRhOm1sb3BzX3g="), as_bearer(b"Bearer mlops_x")
    (b'Bearer mlops_x', b'Bearer mlops_x')
    """
    kind, _, value = authorization.partition(b" ")
    if kind.lower() != b"basic":
        return authorization
    try:
        return b"Bearer " + b64decode(value, validate=True).partition(b":")[2]
    except ValueError as error:
        raise InvalidInputError("the header Authorization is not Basic in Base64") from error
