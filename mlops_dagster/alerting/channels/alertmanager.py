"""Prometheus' Alertmanager, API v2: it recognizes an alert by its labels, and forgets one that is not sent again."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import orjson

from mlops_dagster.alerting.alert import Severity
from mlops_dagster.alerting.channels.channel import ANYWHERE, Receipt
from mlops_dagster.alerting.channels.http import Http
from mlops_dagster.alerting.channels.message import Action, Message
from mlops_dagster.clock import Clock

LIVES: Final = timedelta(minutes=3)
"""The time for which Alertmanager takes an alert to be open: three times the pause between two messages."""


class Alertmanager:
    """One Alertmanager."""

    place = ANYWHERE
    digests = False
    keyed = True
    pauses: Sequence[timedelta] | None = None
    refresh_every: timedelta | None = timedelta(minutes=1)

    def __init__(self, name: str, http: Http, url: str, clock: Clock) -> None:
        self.name, self._http, self._clock = name, http, clock
        self._url = f"{url}/api/v2/alerts"

    def send(self, message: Message, action: Action, receipt: Receipt | None, *, again: bool) -> Receipt:
        """Post the alert as open or ended. An acknowledgement or a change is not sent. See Channel.send."""
        if action in (Action.ACKNOWLEDGE, Action.CHANGE, Action.DIGEST):
            return dict(receipt or {})
        now, over = self._clock.now(), action is Action.RESOLVE
        alerts = [
            *(alert_of(each, ended=True, now=now) for each in _of_other_severities(message, receipt, over=over)),
            alert_of(message, ended=over, now=now),
        ]
        self._http.request("POST", self._url, orjson.dumps(alerts), {"content-type": "application/json"})
        return {"severity": message.severity.value}


def _of_other_severities(message: Message, receipt: Receipt | None, *, over: bool) -> list[Message]:
    """Return the message as it was told before, with another severity; at its end with all that it may have had.

    The severity is a label, so to Alertmanager each is an alert of its own, and one whose answer was lost may be there.
    """
    before = None if receipt is None else receipt.get("severity")
    found = [each for each in Severity if each is not message.severity and (over or each.value == before)]
    return [message.model_copy(update={"severity": each}) for each in found]


def alert_of(message: Message, *, ended: bool, now: datetime) -> dict[str, Any]:
    """Return the alert as Alertmanager's API takes it; one that is not ended is open for three minutes more."""
    labels = {
        "alertname": message.rule,
        "model": message.model,
        "rule": message.rule,
        "subject": message.subject,
        "severity": message.severity.value,
        "owner": message.owner,
        "instance": message.source,
    }
    links = {link.text: link.url for link in message.links}
    annotations = {
        "title": message.title,
        "summary": message.summary,
        "version": message.version or "",
        "value": message.value,
        "limit": message.limit,
        "done": message.done,
        "do": message.do,
        "runbook_url": links.get("Runbook", ""),
    }
    begin = message.opened_at or message.at
    end = max(message.at, begin + timedelta(milliseconds=1)) if ended else max(now, begin) + LIVES
    page = links.get("Control room") or links.get("Dagster")
    return {
        "labels": _present(labels),
        "annotations": _present(annotations),
        "startsAt": begin.isoformat(),
        "endsAt": end.isoformat(),
        **({} if page is None else {"generatorURL": page}),
    }


def _present(texts: Mapping[str, str]) -> dict[str, str]:
    return {name: text for name, text in texts.items() if text}
