"""Opening of channels as the file of channels describes them, with their secrets."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from mlops_dagster.alerting.channels.alertmanager import Alertmanager
from mlops_dagster.alerting.channels.apprise import AppriseChannel
from mlops_dagster.alerting.channels.channel import Channel
from mlops_dagster.alerting.channels.github import GitHub
from mlops_dagster.alerting.channels.http import Http
from mlops_dagster.alerting.channels.pagerduty import PagerDuty
from mlops_dagster.alerting.channels.webhook import Webhook
from mlops_dagster.alerting.routing.channel_specs import (
    AlertmanagerSpec,
    AppriseSpec,
    ChannelSpec,
    GitHubSpec,
    PagerDutySpec,
    WebhookSpec,
)
from mlops_dagster.alerting.routing.secret import Secret, names_variable
from mlops_dagster.clock import Clock
from mlops_dagster.errors import InvalidPolicyError
from mlops_dagster.urls import HIDDEN

if TYPE_CHECKING:
    import httpx


@dataclass(frozen=True, slots=True)
class OpenChannel:
    """A channel, and its secrets, which no text about it may hold."""

    channel: Channel
    secrets: tuple[str, ...]
    http: Http | None
    """The client of the channel; None where a library has its own."""

    def close(self) -> None:
        """Close the connections of the channel."""
        if self.http is not None:
            self.http.close()

    def hidden(self, text: str) -> str:
        """Return the text without the secrets of the channel, in case a server or library repeats them."""
        for secret in sorted(self.secrets, key=len, reverse=True):
            text = text.replace(secret, HIDDEN)
        return text


def open_channel(
    name: str, spec: ChannelSpec, clock: Clock, transport: "httpx.BaseTransport | None" = None
) -> OpenChannel:
    """Return the channel; `transport` replaces the network in tests.

    Raises InvalidPolicyError if a secret cannot be read or used, and MissingExtraError without the library it needs.
    """
    secrets: list[str] = []

    def read(secret: Secret) -> str:
        try:
            found = secret.read()
        except InvalidPolicyError as error:
            raise InvalidPolicyError(f"the channel {name!r} cannot be used: {error}") from error
        secrets.append(found)
        return found

    def address(url: str | None, file: str | None = None) -> str:
        if url is not None and not names_variable(url):
            return url
        return read(Secret(url or file or "")).rstrip("/")

    if isinstance(spec, AppriseSpec):
        channel: Channel = AppriseChannel(name, read(spec.address))
        http = None
    else:
        http = Http(transport)
        channel = _open(name, spec, clock, http, read, address)
    return OpenChannel(channel, tuple(part for secret in secrets for part in _parts(secret)), http)


def _open(
    name: str,
    spec: PagerDutySpec | GitHubSpec | WebhookSpec | AlertmanagerSpec,
    clock: Clock,
    http: Http,
    read: Callable[[Secret], str],
    address: Callable[..., str],
) -> Channel:
    match spec:
        case PagerDutySpec():
            return PagerDuty(name, http, address(spec.url), read(spec.key))
        case GitHubSpec():
            return GitHub(
                name,
                http,
                f"{address(spec.url)}/repos/{spec.repository}",
                read(spec.credentials),
                clock,
                labels=spec.labels,
                reopen=timedelta(days=spec.reopen_days),
            )
        case WebhookSpec():
            return Webhook(name, http, address(spec.url, spec.url_file), read(spec.signing_key), clock)
        case AlertmanagerSpec():
            return Alertmanager(name, http, address(spec.url), clock)


def _parts(secret: str) -> list[str]:
    """Return a secret, and the parts of an address with secrets in it, which libraries tell one by one.

    >>> _parts("slack://TokenA1/TokenB2/general")
    ['slack://TokenA1/TokenB2/general', 'TokenA1', 'TokenB2', 'general']
    """
    _, is_address, rest = secret.partition("://")
    return (
        [
            secret,
            *(part for part in rest.replace("@", "/").replace(":", "/").replace("?", "/").split("/") if len(part) > 3),
        ]
        if is_address
        else [secret]
    )
