"""HTTP as channels use it: 10 s for a request, no redirects, and each failure as one of two errors."""

import logging
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

import orjson

from mlops_dagster.errors import ChannelRefusedError, TryLaterError

if TYPE_CHECKING:
    import httpx

REQUEST_SECONDS: Final = 10.0
MOST_BYTES: Final = 2**22
"""The most bytes of an answer that are read: a page of 100 issues has less than one million."""
LONGEST_WAIT: Final = timedelta(hours=1)
"""The longest pause that a channel may ask for."""

_SHOWN_CHARACTERS = 200
_LATER = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS)


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to a request, of any status."""

    status: int
    headers: Mapping[str, str]
    """By their names in lower case."""
    body: bytes

    def json(self) -> Any:  # of another program: whoever reads it checks it
        """Return the body as JSON; None if it is not JSON."""
        try:
            return orjson.loads(self.body)
        except orjson.JSONDecodeError:
            return None


class Http:
    """A client of one channel; `transport` replaces the network in tests."""

    def __init__(self, transport: "httpx.BaseTransport | None" = None) -> None:
        import httpx

        for library in ("httpx", "httpcore"):  # they log addresses and headers, which may be secret
            logging.getLogger(library).setLevel(logging.WARNING)
        self._client = httpx.Client(follow_redirects=False, timeout=REQUEST_SECONDS, transport=transport)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def request(
        self, method: str, url: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Return the answer if its status is 2xx; raises TryLaterError or ChannelRefusedError for every other."""
        answer = self.exchange(method, url, body, headers)
        refuse(answer)
        return answer

    def exchange(
        self, method: str, url: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Return the answer, of any status.

        Raises TryLaterError if there is none, and ChannelRefusedError for a URL that is none.
        """
        import httpx

        deadline = time.monotonic() + 2 * REQUEST_SECONDS
        try:
            with self._client.stream(
                method, url, content=body, headers={"user-agent": "mlops_dagster", **(headers or {})}
            ) as found:
                return Answer(
                    found.status_code, {k.lower(): v for k, v in found.headers.items()}, _read(found, deadline)
                )
        except (httpx.InvalidURL, httpx.UnsupportedProtocol, UnicodeError) as error:
            raise ChannelRefusedError("its address is not one of http:// or https://; correct it") from error
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.ProxyError) as error:
            raise TryLaterError(f"no connection ({str(error)[:_SHOWN_CHARACTERS] or type(error).__name__})") from error
        except httpx.HTTPError as error:
            raise TryLaterError(
                f"no answer ({type(error).__name__}), the message may have arrived", taken=True
            ) from error


def refuse(answer: Answer) -> None:
    """Raise TryLaterError or ChannelRefusedError unless the status is 2xx."""
    if HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES:
        return
    told = f"{answer.status} {_phrase(answer.status)}{_reason(answer)}"
    if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR or answer.status in _LATER:
        raise TryLaterError(
            told,
            after=retry_after(answer),
            taken=answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR,
            channel=answer.status == HTTPStatus.TOO_MANY_REQUESTS,
        )
    raise ChannelRefusedError(told)


def retry_after(answer: Answer) -> timedelta | None:
    """Return the pause of the header Retry-After (seconds, or a date), of at most an hour; None without one."""
    text = answer.headers.get("retry-after", "").strip()
    try:
        seconds = float(text)
        pause = timedelta(seconds=seconds) if math.isfinite(seconds) else LONGEST_WAIT
    except OverflowError:
        pause = LONGEST_WAIT
    except ValueError:
        try:
            pause = parsedate_to_datetime(text) - datetime.now(UTC)
        except (ValueError, TypeError):  # TypeError: a date without a zone
            return None
    return min(max(pause, timedelta()), LONGEST_WAIT)


def _read(response: "httpx.Response", deadline: float) -> bytes:
    import httpx

    body = b""
    for part in response.iter_bytes():
        body += part
        if len(body) > MOST_BYTES:
            break
        if time.monotonic() > deadline:
            raise httpx.ReadTimeout("the answer comes too slowly")
    return body[:MOST_BYTES]


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "without a known meaning"


def _reason(answer: Answer) -> str:
    """Return the start of the reason that an answer gives in JSON; an HTML page says nothing that helps."""
    found = answer.json()
    if not isinstance(found, dict):
        return ""
    parts = [found.get("message"), *(found["errors"] if isinstance(found.get("errors"), list) else [])]
    text = "; ".join(each for each in parts if isinstance(each, str))
    return f" ({' '.join(text.split())[:_SHOWN_CHARACTERS]})" if text else ""
