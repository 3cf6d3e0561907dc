"""The six figures at the top, over all models."""

from dataclasses import dataclass

from mlops_dagster.board.snapshot.entities.section import Section


@dataclass(frozen=True, slots=True)
class ActiveModels:
    """The models that have a champion."""

    active: int
    without_champion: int
    on_hold: int
    with_critical: int
    """The models with an open critical alert, muted or not."""
    with_warning: int
    """The models whose worst open alert is a warning."""


@dataclass(frozen=True, slots=True)
class Uptime:
    """The share of the requests that were answered, mistakes of clients aside, against the objective."""

    share: float | None
    """None without a request."""
    objective: float
    """The share that the models' objectives ask for, weighed by their requests."""
    budget_left: float | None
    """The part of the allowed bad requests that is left: at most 1, negative if more were bad; None without any."""
    requests: int
    bad: int
    days: float
    worst: str | None
    """The model with the smallest part of its budget left; None without requests."""
    worst_budget_left: float | None


@dataclass(frozen=True, slots=True)
class Latency:
    """The 99th percentile of the latency of all answers."""

    p99_ms: float | None
    """None if there is no request in the longest window."""
    requests: int
    minutes: float
    """The length of the window: 10, or up to 1,440 if fewer than 200 requests came in a shorter one."""
    worst: str | None
    """The model that is nearest to its limit, or farthest over it; None if no model has a limit and requests."""
    worst_ms: float | None
    limit_ms: float | None
    """The warning limit of the worst model."""


@dataclass(frozen=True, slots=True)
class Versions:
    """The versions of all models."""

    tracked: int
    deprecated: int
    models: int


@dataclass(frozen=True, slots=True)
class Accuracy:
    """The accuracy of the answers of the last 24 hours whose labels have come; it changes as others come."""

    value: float | None
    """None without a label."""
    low: float | None
    high: float | None
    """The 95 % interval; labels that share causes make it wider than this."""
    labels: int
    needed: int
    """The labels that the rule of the alert wants at least."""
    awaiting: int
    """The answers of the last 30 days without a label: the label debt."""
    oldest_hours: float | None
    """The age of the oldest of them."""
    median_hours: float | None


@dataclass(frozen=True, slots=True)
class Requests:
    """The requests a minute, over the last ten minutes."""

    per_minute: float
    last_week: float | None
    """That of the same ten minutes a week before; None if there was no request."""
    change: float | None
    """0.12 for 12 % more than a week before."""


@dataclass(frozen=True, slots=True)
class Figures:
    """The six figures. A store that fails makes only the figures that need it unavailable."""

    models: Section[ActiveModels]
    uptime: Section[Uptime]
    latency: Section[Latency]
    versions: Section[Versions]
    accuracy: Section[Accuracy]
    requests: Section[Requests]
    grafana: str | None
    """The dashboard of all models; it has no accuracy."""
