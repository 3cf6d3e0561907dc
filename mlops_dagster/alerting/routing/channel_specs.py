"""The kinds of channels, as the file of channels (MLOPS_CHANNELS) describes them."""

import re
from typing import Annotated, Literal, Self, TypeAlias

from pydantic import Field, field_validator, model_validator

from mlops_dagster.alerting.routing.secret import Secret, names_variable
from mlops_dagster.documents.strict import StrictModel
from mlops_dagster.urls import holds_secrets

_REPOSITORY = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*/[A-Za-z0-9._-]+")
_HTTP = re.compile(r"https?://[^\s@/?#]+(/[^\s@?#]*)?", re.IGNORECASE)

Variable: TypeAlias = str | None


class _Spec(StrictModel):
    @field_validator("routing_key", "token", "secret", check_fields=False)
    @classmethod
    def _names_a_variable(cls, text: Variable) -> Variable:
        if text is not None and not names_variable(text):
            raise ValueError("a secret does not stand in this file: write ${NAME} of a variable, or name a file")
        return text

    @field_validator("url", check_fields=False)
    @classmethod
    def _is_an_address(cls, url: Variable) -> Variable:
        if url is None or names_variable(url):
            return url
        if holds_secrets(url) or not _HTTP.fullmatch(url):
            raise ValueError(
                "it is not an address such as https://host/path, without a password or query; for one with a secret "
                "in it write ${NAME} of a variable, or url_file"
            )
        return url.rstrip("/")


class PagerDutySpec(_Spec):
    """PagerDuty's Events API v2: opens, acknowledges and resolves incidents of one service."""

    type: Literal["pagerduty"]
    routing_key: Variable = Field(default=None, description="${NAME} of the variable with the integration key")
    routing_key_file: str | None = Field(default=None, description="file with the integration key")
    url: str = Field(
        default="https://events.pagerduty.com/v2/enqueue",
        description="address of the API; https://events.eu.pagerduty.com/v2/enqueue in the EU",
    )
    changes: bool = Field(default=True, description="also tell of promotions, rollbacks and retrainings")

    @model_validator(mode="after")
    def _has_a_key(self) -> Self:
        _one_of(self.routing_key, self.routing_key_file, "routing_key")
        return self

    @property
    def key(self) -> Secret:
        return _secret(self.routing_key, self.routing_key_file)


class GitHubSpec(_Spec):
    """Issues of a GitHub repository: opened, commented on, and closed."""

    type: Literal["github"]
    repository: str = Field(description="owner/name")
    token: Variable = Field(default=None, description="${NAME} of the variable with the token")
    token_file: str | None = Field(default=None, description="file with a token that may write issues")
    url: str = Field(default="https://api.github.com", description="address of the REST API")
    labels: tuple[str, ...] = Field(default=("mlops",), max_length=20, description="labels of every issue")
    reopen_days: int = Field(
        default=7, ge=0, le=90, description="an issue that was closed less long ago is opened again; 0 never does"
    )

    @field_validator("repository")
    @classmethod
    def _names_a_repository(cls, name: str) -> str:
        if not _REPOSITORY.fullmatch(name):
            raise ValueError(f"{name!r} is not owner/name of a repository, such as acme/ml")
        return name

    @model_validator(mode="after")
    def _has_a_token(self) -> Self:
        _one_of(self.token, self.token_file, "token")
        return self

    @property
    def credentials(self) -> Secret:
        return _secret(self.token, self.token_file)


class WebhookSpec(_Spec):
    """A web hook: every message as signed JSON, for receivers that are written for it."""

    type: Literal["webhook"]
    url: Variable = Field(default=None, description="address of the receiver")
    url_file: str | None = Field(default=None, description="file with the address, if the address is a secret")
    secret: Variable = Field(default=None, description="${NAME} of the variable with the key of the signatures")
    secret_file: str | None = Field(default=None, description="file with the key of the signatures")

    @model_validator(mode="after")
    def _has_both(self) -> Self:
        _one_of(self.url, self.url_file, "url")
        _one_of(self.secret, self.secret_file, "secret")
        return self

    @property
    def signing_key(self) -> Secret:
        return _secret(self.secret, self.secret_file)


class AlertmanagerSpec(_Spec):
    """Prometheus' Alertmanager, API v2: open alerts are sent again every minute, as it expects of its clients."""

    type: Literal["alertmanager"]
    url: str = Field(description="address without /api/v2, http://alertmanager:9093")


class AppriseSpec(_Spec):
    """Any service that Apprise knows: Slack, Teams, mail, and some 180 more (extra `apprise`)."""

    type: Literal["apprise"]
    url: Variable = Field(default=None, description="${NAME} of the variable with Apprise's URL of the service")
    url_file: str | None = Field(default=None, description="file with Apprise's URL of the service")

    @field_validator("url")
    @classmethod
    def _is_an_address(cls, url: Variable) -> Variable:
        if url is not None and not names_variable(url):
            raise ValueError(
                "Apprise's URLs hold secrets, which do not stand in this file: write ${NAME} of a variable, or url_file"
            )
        return url

    @model_validator(mode="after")
    def _has_a_url(self) -> Self:
        _one_of(self.url, self.url_file, "url")
        return self

    @property
    def address(self) -> Secret:
        return _secret(self.url, self.url_file)


ChannelSpec: TypeAlias = Annotated[
    PagerDutySpec | GitHubSpec | WebhookSpec | AlertmanagerSpec | AppriseSpec, Field(discriminator="type")
]


def _one_of(variable: str | None, file: str | None, name: str) -> None:
    if (variable is None) == (file is None):
        raise ValueError(f"one of {name} and {name}_file is needed, and only one")


def _secret(variable: str | None, file: str | None) -> Secret:
    return Secret(variable or file or "")
