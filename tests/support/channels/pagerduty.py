"""PagerDuty's Events API v2, as its schema (PagerDuty/api-schema, reference/events-v2) and its documents have it."""

from datetime import datetime
from typing import Any

from tests.support.channels.stub import Asked, Reply, need

KEY = "0123456789abcdef0123456789abcdef"
ALLOWED = {"routing_key", "event_action", "dedup_key", "payload", "links", "images", "client", "client_url"}
PAYLOAD = {"summary", "source", "severity", "timestamp", "component", "group", "class", "custom_details"}


class PagerDutyServer:
    def __init__(self, key: str = KEY) -> None:
        self.key = key
        self.open: dict[str, str] = {}
        """Open alerts: their keys, and `triggered` or `acknowledged`."""
        self.incidents: list[str] = []
        """The key of each incident that was ever made, in order."""
        self.severities: dict[str, str] = {}
        self.changes: list[Any] = []
        self.refused: list[str] = []

    def answer(self, asked: Asked) -> Reply:
        need(asked.method == "POST", "only POST", 405)
        need(asked.headers.get("content-type") == "application/json", "not application/json")
        need(len(asked.body) <= 512 * 1024, "larger than 512 kB", 413)
        event = asked.json()
        need(isinstance(event, dict) and set(event) <= ALLOWED, "fields that the schema does not have")
        need(event.get("routing_key") == self.key, "Invalid routing key")
        if asked.path == "/v2/change/enqueue":
            return self._change(event)
        need(asked.path == "/v2/enqueue", "no such page", 404)
        return self._event(event)

    def _change(self, event: dict[str, Any]) -> Reply:
        need(set(event) <= {"routing_key", "payload", "links", "images"}, "fields that a change does not have")
        need(set(event["payload"]) <= {"summary", "source", "timestamp", "custom_details"}, "payload of a change")
        self._common(event)
        self.changes.append(event)
        return Reply(202, {"status": "success", "message": "Change event processed"})

    def _event(self, event: dict[str, Any]) -> Reply:
        action, key = event.get("event_action"), event.get("dedup_key")
        need(action in ("trigger", "acknowledge", "resolve"), "event_action")
        need(isinstance(key, str) and 0 < len(key) <= 255, "dedup_key")
        if action == "trigger":
            self._common(event)
            payload = event["payload"]
            need(set(payload) <= PAYLOAD, "fields that the payload does not have")
            need(payload.get("severity") in ("critical", "error", "warning", "info"), "severity")
            need(payload.get("source"), "source")
            if key not in self.open:
                self.open[key] = "triggered"
                self.incidents.append(key)
            self.severities[key] = payload["severity"]
        elif key in self.open:
            if action == "resolve":
                del self.open[key]
            else:
                self.open[key] = "acknowledged"
        return Reply(202, {"status": "success", "message": "Event processed", "dedup_key": key})

    def _common(self, event: dict[str, Any]) -> None:
        payload = event.get("payload")
        need(isinstance(payload, dict), "payload")
        need(isinstance(payload.get("summary"), str) and 0 < len(payload["summary"]) <= 1024, "summary")
        if "timestamp" in payload:
            need(datetime.fromisoformat(payload["timestamp"]).tzinfo, "timestamp has no zone")
        for link in event.get("links", []):
            need(set(link) <= {"href", "text"} and link.get("href", "").startswith("http"), "link")
