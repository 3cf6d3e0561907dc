"""The models of a fleet that are retrained next, when many ask for it at the same time. Pure."""

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date
from typing import get_args

from mlops_dagster.documents.texts import counted
from mlops_dagster.retraining.policy import RetrainDecision, Trigger


@dataclass(frozen=True, slots=True)
class Turn:
    """The models whose retraining starts now, and the reason why each other model's does not."""

    models: list[str]
    waits: Mapping[str, str]


def take_turns(
    decisions: Mapping[str, RetrainDecision], tried: Collection[str], *, most: int, unfinished: int, day: date
) -> Turn:
    """Return whose turn it is.

    Args:
        decisions: the decision whether to retrain, by model.
        tried: the models that were tried on this day already.
        most: the number of retrainings that may run or be queued, MLOPS_MAX_RETRAININGS.
        unfinished: the number of those that do.
        day: the day.
    """
    waiting = {model: found for model, found in decisions.items() if found.retrain and model not in tried}
    full = f"waits until one of {counted(most, 'retrainings')} has ended, the most that MLOPS_MAX_RETRAININGS allows"
    waits = {model: found.reason for model, found in decisions.items() if not found.retrain}
    waits |= {**dict.fromkeys(tried, "was tried today"), **dict.fromkeys(waiting, full)}
    return Turn(in_turn(waiting, most - unfinished, day), waits)


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
