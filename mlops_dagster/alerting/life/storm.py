"""The decision when alerts of one rule about many models are told as one alert about the fleet."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from mlops_dagster.alerting.alert import Severity

WINDOW: Final = timedelta(minutes=5)
"""The time within which the alerts of a storm open."""
MODELS: Final = 5
SHARE: Final = 0.2

_NAMED = 5


def is_storm(opened: int, fleet: int) -> bool:
    """Tell whether `opened` models with an alert of one rule in `WINDOW`, out of `fleet` models, are a storm.

    >>> is_storm(5, 25), is_storm(5, 26), is_storm(4, 4)
    (True, False, False)
    """
    return opened >= MODELS and opened >= SHARE * fleet


def is_over(still_open: int) -> bool:
    """Tell whether so few models have the alert open that each is told by itself."""
    return still_open < MODELS


class Member(NamedTuple):
    """An open alert of the rule of a storm, about one model."""

    model: str
    severity: Severity
    opened_at: datetime


def severity_of(members: Sequence[Member]) -> Severity:
    """Return the greatest severity among the alerts of a storm."""
    return max((each.severity for each in members), key=lambda severity: severity.rank)


def summary_of(rule: str, models: Collection[str]) -> str:
    """Return the summary of a storm: the number of models, and the first of their names.

    >>> summary_of("psi", {"a", "b", "c", "d", "e", "f"})
    'psi is open for 6 models: a, b, c, d, e and 1 more'
    """
    more = f" and {len(models) - _NAMED} more" if len(models) > _NAMED else ""
    return f"{rule} is open for {len(models)} models: {', '.join(sorted(models)[:_NAMED])}{more}"
