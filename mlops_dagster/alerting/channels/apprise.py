"""Any service that Apprise knows, by its URL: Slack, Teams, mail, and some 180 more."""

import logging
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from mlops_dagster.alerting.alert import Severity
from mlops_dagster.alerting.channels.channel import ANYWHERE, Receipt
from mlops_dagster.alerting.channels.message import Action, Message, facts
from mlops_dagster.errors import InvalidPolicyError, TryLaterError
from mlops_dagster.extras import require

if TYPE_CHECKING:
    from apprise import Apprise

SECONDS: Final = 20.0
PAUSES: Final = tuple(timedelta(seconds=seconds) for seconds in (10, 60, 600, 1800, 3600))
"""Apprise does not say whether a service is away or will never take a message, or whether some of its targets took it.

So a message is tried six times, in 100 minutes.
"""


class AppriseChannel:
    """One service."""

    place = ANYWHERE
    digests = True
    keyed = False
    pauses: Sequence[timedelta] | None = PAUSES
    refresh_every: timedelta | None = None

    def __init__(self, name: str, url: str) -> None:
        """Raise InvalidPolicyError for a URL that Apprise does not know, MissingExtraError without Apprise."""
        require("apprise", f"the channel {name!r}")
        self.name, self._service = name, _open(name, url)

    def send(self, message: Message, action: Action, receipt: Receipt | None, *, again: bool) -> Receipt:
        """Send a new text for each act: a text that was sent cannot be changed. See Channel.send."""
        from apprise import NotifyFormat

        result = self._service.notify(
            body=text_of(message, action),
            title=message.title,
            notify_type=_kind(message, action),
            body_format=NotifyFormat.TEXT,
            timeout=SECONDS,
            log_level=logging.WARNING,
        )
        if not result:
            reasons = list(dict.fromkeys(entry.message for entry in result.logs()))
            raise TryLaterError(f"Apprise could not send it: {_short(reasons)}", taken=True)
        return {}


def text_of(message: Message, action: Action) -> str:
    """Return the text below the title: the act, the facts, and the links."""
    over = "Resolved. " if action is Action.RESOLVE and not message.muted else ""
    lines = [f"{over}{message.summary}", *(f"{name}: {text}" for name, text in facts(message))]
    return "\n".join([*lines, *(f"{link.text}: {link.url}" for link in message.links)])


def _kind(message: Message, action: Action) -> str:
    from apprise import NotifyType

    if action is Action.RESOLVE:
        return str(NotifyType.INFO.value if message.muted else NotifyType.SUCCESS.value)
    by_severity = {Severity.CRITICAL: NotifyType.FAILURE, Severity.WARNING: NotifyType.WARNING}
    return str(by_severity.get(message.severity, NotifyType.INFO).value)


def _open(name: str, url: str) -> "Apprise":
    from apprise import Apprise, AppriseAsset

    # Both log addresses, which hold secrets, and Apprise whatever a service answers.
    logging.getLogger("urllib3").setLevel(logging.WARNING)
    logger = logging.getLogger("apprise")
    logger.propagate = False
    logger.addFilter(_holds_no_address)  # also where a logging configuration lets it propagate again
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())
    service = Apprise(asset=AppriseAsset(app_id="mlops_dagster", async_mode=False, http_redirects=False))
    if not service.add(url):
        raise InvalidPolicyError(
            f"the URL of the channel {name!r} is not one that Apprise knows; write it as Apprise's list of services "
            "says, such as slack://TokenA/TokenB/TokenC for Slack"
        )
    return service


def _holds_no_address(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.WARNING


def _short(reasons: Sequence[str]) -> str:
    return "; ".join(" ".join(each.split()) for each in reasons)[:300] or "it gives no reason"
