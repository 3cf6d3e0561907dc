"""The routing: which channels are told of an alert, by the owners of its model and its severity."""

import re
from collections.abc import Collection, Mapping, Sequence

from pydantic import Field, field_validator

from mlops_dagster.alerting.alert import Severity
from mlops_dagster.alerting.routing.channel_specs import ChannelSpec
from mlops_dagster.documents.strict import StrictModel
from mlops_dagster.names import MODEL_PATTERN, OWNER_PATTERN


class Route(StrictModel):
    """The channels of one owner's models; of all models, if no owner is named."""

    owner: str | None = Field(
        default=None, pattern=OWNER_PATTERN, description="an owner as in defs.yaml; without it, all models"
    )
    critical: tuple[str, ...] = Field(default=(), description="channels that are told of critical alerts")
    warning: tuple[str, ...] = Field(default=(), description="channels that are told of warnings")
    info: tuple[str, ...] = Field(default=(), description="channels that are told of what happened")

    def channels(self, severity: Severity) -> tuple[str, ...]:
        by_severity = {Severity.CRITICAL: self.critical, Severity.WARNING: self.warning, Severity.INFO: self.info}
        return by_severity[severity]


class Escalation(StrictModel):
    """The channels that are told of a critical alert that stays without an acknowledgement."""

    unacknowledged_minutes: int = Field(ge=1, le=10_080, description="minutes after which these channels are told")
    to: tuple[str, ...] = Field(min_length=1, description="channels")


class Routing(StrictModel):
    """The file MLOPS_CHANNELS: the channels, and who is told of what by which of them."""

    channels: Mapping[str, ChannelSpec] = Field(min_length=1, description="channels by name")
    routes: tuple[Route, ...] = Field(min_length=1, description="the first that matches applies; the last matches all")
    escalate: Escalation | None = Field(
        default=None, description="who is told of a critical alert that stays without an acknowledgement"
    )
    repeat_hours: int = Field(
        default=24,
        ge=0,
        le=720,
        description="hours after which an open alert without an acknowledgement is told again; 0 never does",
    )

    @field_validator("channels")
    @classmethod
    def _have_names(cls, channels: Mapping[str, ChannelSpec]) -> Mapping[str, ChannelSpec]:
        odd = [name for name in channels if not re.fullmatch(MODEL_PATTERN, name)]
        if odd:
            raise ValueError(f"{odd[0]!r} cannot name a channel: use ASCII letters and digits with single - or _")
        return channels

    @field_validator("routes")
    @classmethod
    def _each_can_apply(cls, routes: tuple[Route, ...]) -> tuple[Route, ...]:
        if routes[-1].owner is not None:
            raise ValueError(
                "the last route names an owner, so that alerts about models of others are not told; add one without"
            )
        for number, route in enumerate(routes[:-1], 1):
            if route.owner is None:
                raise ValueError(f"route {number} names no owner, so that those after it never apply; put it last")
            if route.owner in [each.owner for each in routes[: number - 1]]:
                raise ValueError(f"route {number} names {route.owner} again, and only the first of an owner applies")
        return routes

    def channels_for(self, owners: Collection[str], severity: Severity) -> tuple[str, ...]:
        """Return the channels that are told of an alert of this severity about a model with these owners."""
        return self._route(owners).channels(severity)

    def all_channels_for(self, owners: Collection[str]) -> tuple[str, ...]:
        """Return the channels that are told of any alert about a model with these owners."""
        route = self._route(owners)
        return tuple(dict.fromkeys(name for severity in Severity for name in route.channels(severity)))

    def _route(self, owners: Collection[str]) -> Route:
        return next(each for each in self.routes if each.owner is None or each.owner in owners)

    def named(self) -> Sequence[tuple[tuple[str | int, ...], str]]:
        """Return each use of a channel's name: its place in the file, and the name."""
        uses: list[tuple[tuple[str | int, ...], str]] = []
        for number, route in enumerate(self.routes):
            for severity in Severity:
                uses += [
                    (("routes", number, severity.value, place), name)
                    for place, name in enumerate(route.channels(severity))
                ]
        to = () if self.escalate is None else self.escalate.to
        return [*uses, *((("escalate", "to", place), name) for place, name in enumerate(to))]
