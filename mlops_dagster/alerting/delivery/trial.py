"""The trial of a channel: an alert that says that it is a test, and its end."""

import uuid

from mlops_dagster.alerting.alert import FLEET, Severity
from mlops_dagster.alerting.channels.message import Action, Link, Message, Site
from mlops_dagster.alerting.channels.opening import OpenChannel
from mlops_dagster.clock import Clock
from mlops_dagster.errors import ChannelRefusedError, TryLaterError


def try_channel(opened: OpenChannel, site: Site, clock: Clock, actor: str) -> None:
    """Open and resolve a test alert in a channel. Raises ChannelRefusedError or TryLaterError with the reason."""
    number = uuid.uuid4().hex
    message = _test_message(f"{site.name}-test-{number}", f"mlops:{site.name}:test:{number}", site, clock, actor)
    receipt = None
    over = {
        "title": f"[RESOLVED] {message.title}",
        "summary": "This test is over.",
        "id": f"{message.id}-end",
        "do": "",
    }
    for each, action in ((message, Action.OPEN), (message.model_copy(update=over), Action.RESOLVE)):
        try:
            receipt = opened.channel.send(each, action, receipt, again=False)
        except (TryLaterError, ChannelRefusedError) as error:
            reason = f"the channel {opened.channel.name!r} did not take the test: {opened.hidden(error.message)}"
            raise ChannelRefusedError(reason) from None  # the cause may hold a secret


def _test_message(number: str, key: str, site: Site, clock: Clock, actor: str) -> Message:
    now = clock.now()
    return Message(
        id=number,
        key=key,
        source=site.name,
        model=FLEET,
        version=None,
        rule="test",
        subject="",
        severity=Severity.WARNING,
        owner="",
        alert=None,
        title=f"[TEST] {site.name}: alerts of mlops_dagster arrive here",
        summary=f"{actor} tries this channel. Nothing is wrong; its end follows at once.",
        value="",
        limit="",
        since=None,
        opened_at=now,
        at=now,
        told_at=now,
        done="",
        do="mlops alerts outbox",
        actor=actor,
        links=() if site.board is None else (Link(text="Control room", url=site.board),),
    )
