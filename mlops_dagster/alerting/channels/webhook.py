"""A web hook, signed as Standard Webhooks asks: a receiver recognizes a message that comes twice by its id."""

import base64
import hmac
from collections.abc import Sequence
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

import orjson

from mlops_dagster.alerting.channels.channel import ANYWHERE, Receipt
from mlops_dagster.alerting.channels.http import Http
from mlops_dagster.alerting.channels.message import Action, Message
from mlops_dagster.clock import Clock
from mlops_dagster.errors import InvalidPolicyError

_PREFIX = "whsec_"


class Webhook:
    """One receiver of signed messages; docs/webhook.schema.json describes them."""

    place = ANYWHERE
    digests = True
    keyed = False
    pauses: Sequence[timedelta] | None = None
    refresh_every: timedelta | None = None

    def __init__(self, name: str, http: Http, url: str, secret: str, clock: Clock) -> None:
        self.name, self._http, self._url, self._clock = name, http, url, clock
        self._secret = key_of(secret)

    def send(self, message: Message, action: Action, receipt: Receipt | None, *, again: bool) -> Receipt:
        """Post the message. See Channel.send."""
        body = orjson.dumps(document(message, action))
        headers = signed_headers(message.id, self._clock.now(), body, self._secret)
        answer = self._http.request("POST", self._url, body, {"content-type": "application/json", **headers})
        return {"status": answer.status}


def document(message: Message, action: Action) -> dict[str, Any]:
    """Return the body of the request, as docs/webhook.schema.json has it."""
    return {"action": action.value, **message.model_dump(mode="json")}


def signed_headers(message_id: str, at: datetime, body: bytes, secret: bytes) -> dict[str, str]:
    """Return the three headers by which a receiver checks that a message is ours, and new.

    >>> headers = signed_headers("m-1", datetime.fromisoformat("2026-01-01T00:00:00Z"), b"{}", b"key")
    >>> headers["webhook-timestamp"], headers["webhook-signature"][:3]
    ('1767225600', 'v1,')
    """
    seconds = str(int(at.timestamp()))
    signature = hmac.new(secret, f"{message_id}.{seconds}.".encode() + body, sha256).digest()
    return {
        "webhook-id": message_id,
        "webhook-timestamp": seconds,
        "webhook-signature": f"v1,{base64.b64encode(signature).decode()}",
    }


def key_of(secret: str) -> bytes:
    """Return the bytes of a secret: base64 after `whsec_`, else the text. Raises InvalidPolicyError for bad base64."""
    if not secret.startswith(_PREFIX):
        return secret.encode()
    try:
        return base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except ValueError as error:
        raise InvalidPolicyError(
            "the key of the signatures begins with whsec_ and is not base64; write it again"
        ) from error
