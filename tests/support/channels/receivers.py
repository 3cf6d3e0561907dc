"""A receiver of signed web hooks (Standard Webhooks), and Alertmanager's API v2."""

import base64
import hmac
import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jsonschema

from tests.support.channels.stub import Asked, Reply, need

SECRET = "whsec_" + base64.b64encode(b"0123456789abcdef01234567").decode()
SCHEMA = Path(__file__).parents[3] / "docs" / "webhook.schema.json"
_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")


class Receiver:
    """Takes each id once, as the standard tells receivers to."""

    def __init__(self, secret: str = SECRET, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._key, self._now = base64.b64decode(secret.removeprefix("whsec_")), now
        self._schema = json.loads(SCHEMA.read_text())
        self.taken: dict[str, dict[str, Any]] = {}
        self.refused: list[str] = []

    @property
    def open(self) -> set[str]:
        """The keys of open alerts, as a reader of these messages knows them."""
        found: set[str] = set()
        for message in self.taken.values():
            if message["action"] == "open":
                found.add(message["key"])
            elif message["action"] == "resolve":
                found.discard(message["key"])
        return found

    def answer(self, asked: Asked) -> Reply:
        number, sent_at = asked.headers.get("webhook-id", ""), asked.headers.get("webhook-timestamp", "")
        need(number, "webhook-id")
        need(abs(self._now().timestamp() - int(sent_at)) < 300, "webhook-timestamp")
        signed = f"{number}.{sent_at}.".encode() + asked.body
        expected = "v1," + base64.b64encode(hmac.digest(self._key, signed, "sha256")).decode()
        given = asked.headers.get("webhook-signature", "").split(" ")
        need(any(hmac.compare_digest(expected, each) for each in given), "webhook-signature", 401)
        jsonschema.validate(asked.json(), self._schema)
        if number in self.taken:
            need(self.taken[number] == asked.json(), "another message with the same id")
        self.taken.setdefault(number, asked.json())
        return Reply(204)


class AlertmanagerServer:
    def __init__(self, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._now = now
        self.alerts: dict[tuple[tuple[str, str], ...], datetime] = {}
        """The end of each alert by its labels."""
        self.fired: list[tuple[tuple[str, str], ...]] = []
        """The labels of each alert that began to fire, in order; the same alert posted again while it fires is none."""
        self.refused: list[str] = []

    @property
    def open(self) -> list[dict[str, str]]:
        """The labels of the alerts that fire."""
        return [dict(labels) for labels, end in self.alerts.items() if end > self._now()]

    def answer(self, asked: Asked) -> Reply:
        need(asked.method == "POST" and asked.path == "/api/v2/alerts", "no such page", 404)
        for alert in asked.json():
            need(set(alert) <= {"labels", "annotations", "startsAt", "endsAt", "generatorURL"}, "fields")
            labels = alert["labels"]
            need(labels.get("alertname") and all(_LABEL.fullmatch(name) for name in labels), "labels")
            need(all(isinstance(text, str) and text for text in labels.values()), "label values")
            start, end = (datetime.fromisoformat(alert[name]) for name in ("startsAt", "endsAt"))
            need(start.tzinfo and end.tzinfo and end > start, "times")
            named, now = tuple(sorted(labels.items())), self._now()
            if end > now and self.alerts.get(named, now) <= now:
                self.fired.append(named)
            self.alerts[named] = end
        return Reply(200)
