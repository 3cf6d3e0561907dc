"""The order in which the models of a fleet are retrained when many ask for it at the same time. Pure."""

import hashlib
from collections.abc import Mapping
from datetime import date
from typing import get_args

from mlops_dagster.retraining.policy import RetrainDecision, Trigger


def in_turn(asked: Mapping[str, RetrainDecision], free: int, day: date) -> list[str]:
    """Return the models whose retraining may start now, `free` of those that `asked` at most.

    Facts about answers come before drift, and drift before the calendar; else the order is drawn anew for each day, so
    that no model waits for ever because of its name.

    >>> asked = {"shop": RetrainDecision(True, "cadence", ""), "cards": RetrainDecision(True, "performance", "")}
    >>> in_turn(asked, free=1, day=date(2026, 3, 1))
    ['cards']
    """
    gravest_first = get_args(Trigger)

    def place(model: str) -> tuple[int, bytes]:
        drawn = hashlib.sha256(f"{day} {model}".encode()).digest()
        return gravest_first.index(asked[model].trigger), drawn

    return sorted(asked, key=place)[: max(free, 0)]
