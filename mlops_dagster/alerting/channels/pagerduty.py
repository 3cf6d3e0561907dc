"""PagerDuty, by its Events API v2: PagerDuty itself recognizes an event that comes twice by its key."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from hashlib import sha256
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

import orjson

from mlops_dagster.alerting.channels.channel import Receipt
from mlops_dagster.alerting.channels.http import Http
from mlops_dagster.alerting.channels.message import Action, Message, facts
from mlops_dagster.errors import TryLaterError

LONGEST_SUMMARY: Final = 1024
MOST_BYTES: Final = 512 * 1024
WHEN_BUSY: Final = timedelta(minutes=2)
"""The pause after 429 without a Retry-After: PagerDuty asks for a few minutes."""


class PagerDuty:
    """One service of PagerDuty, by its integration key."""

    digests = False
    keyed = True
    pauses: Sequence[timedelta] | None = None
    refresh_every: timedelta | None = None

    def __init__(self, name: str, http: Http, url: str, routing_key: str) -> None:
        self.name, self._http, self._url, self._key = name, http, url, routing_key
        self.place = f"the integration key with the SHA-256 {sha256(routing_key.encode()).hexdigest()[:8]}..."

    def send(self, message: Message, action: Action, receipt: Receipt | None, *, again: bool) -> Receipt:
        """Send an event. See Channel.send."""
        change = action is Action.CHANGE
        try:
            self._http.request(
                "POST",
                _change_address(self._url) if change else self._url,
                body_of(message, action, self._key),
                {"content-type": "application/json"},
            )
        except TryLaterError as error:
            if error.channel and error.after is None:
                raise TryLaterError(error.message, after=WHEN_BUSY, channel=True) from error
            raise
        return {} if change else {"dedup_key": message.key}


def body_of(message: Message, action: Action, routing_key: str) -> bytes:
    """Return the body of the request; the details are left out if it would be larger than PagerDuty takes."""
    event = _event(message, action, routing_key)
    body = orjson.dumps(event)
    if len(body) > MOST_BYTES:
        del event["payload"]["custom_details"]
        body = orjson.dumps(event)
    return body


def _event(message: Message, action: Action, routing_key: str) -> dict[str, Any]:
    if action in (Action.ACKNOWLEDGE, Action.RESOLVE):
        return {"routing_key": routing_key, "event_action": action.value, "dedup_key": message.key}
    if action is Action.CHANGE:
        return {"routing_key": routing_key, "payload": _common(message), "links": _links(message)}
    payload = {
        **_common(message),
        "severity": message.severity.value,
        "component": message.model,
        "group": message.owner or message.model,
        "class": message.rule,
    }
    board = next((link.url for link in message.links if link.text == "Control room"), None)
    return {
        "routing_key": routing_key,
        "event_action": "trigger",
        "dedup_key": message.key,
        "payload": payload,
        "links": _links(message),
        "client": "mlops_dagster",
        **({} if board is None else {"client_url": board}),
    }


def _common(message: Message) -> dict[str, Any]:
    title = message.title
    return {
        "summary": title if len(title) <= LONGEST_SUMMARY else f"{title[: LONGEST_SUMMARY - 4]} ...",
        "source": message.source,
        "timestamp": message.at.isoformat(),
        "custom_details": {
            "summary": message.summary,
            **{name.lower().replace(" ", "_"): text for name, text in facts(message)},
            **({} if message.alert is None else {"alert": message.alert}),
        },
    }


def _links(message: Message) -> list[Mapping[str, str]]:
    return [{"href": link.url, "text": link.text} for link in message.links]


def _change_address(url: str) -> str:
    """Return the address of change events next to that of alert events.

    >>> _change_address("https://events.pagerduty.com/v2/enqueue")
    'https://events.pagerduty.com/v2/change/enqueue'
    """
    parts = urlsplit(url)
    return urlunsplit(parts._replace(path=f"{parts.path.removesuffix('/enqueue')}/change/enqueue"))
