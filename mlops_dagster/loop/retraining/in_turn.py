"""The models of a fleet that are retrained next, when many ask for it at the same time. Pure."""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final, get_args

from mlops_dagster.documents.texts import counted
from mlops_dagster.retraining.policy import RetrainDecision, Trigger

BEAT: Final = "sensor:retraining"
"""The name of the beat of each look at whose turn it is; its note is the queue."""

_NAMED: Final = 10
"""The number of waiting models that are named at most."""


@dataclass(frozen=True, slots=True)
class Turn:
    """The models whose retraining starts now, and the reason why each other model's does not."""

    models: list[str]
    waiting: list[str]
    """The models that are due and wait for a place, in the order of their turn."""
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
    order = in_turn(waiting, day)
    free = max(most - unfinished, 0)
    full = f"waits until one of {counted(most, 'retrainings')} has ended, the most that MLOPS_MAX_RETRAININGS allows"
    waits = {model: found.reason for model, found in decisions.items() if not found.retrain}
    waits |= {**dict.fromkeys(tried, "was tried today"), **dict.fromkeys(waiting, full)}
    return Turn(order[:free], order[free:], waits)


def in_turn(asked: Mapping[str, RetrainDecision], day: date) -> list[str]:
    """Return the models that `asked` for a retraining, in the order of their turn.

    Facts about answers come before drift, and drift before the calendar; else the order is drawn by name anew for each
    day, so that no model waits for ever because of its name.

    >>> asked = {"shop": RetrainDecision(True, "cadence", ""), "cards": RetrainDecision(True, "performance", "")}
    >>> in_turn(asked, day=date(2026, 3, 1))
    ['cards', 'shop']
    """
    gravest_first = get_args(Trigger)

    def place(model: str) -> tuple[int, bytes]:
        drawn = hashlib.sha256(f"{day} {model}".encode()).digest()
        return gravest_first.index(asked[model].trigger), drawn

    return sorted(asked, key=place)


def queue(waiting: Sequence[str], most: int) -> str:
    """Return a sentence about the models that wait for a place; empty if none waits.

    >>> queue(["tea", "shop"], most=2)
    '2 retrainings wait for their turn (MLOPS_MAX_RETRAININGS is 2): tea, shop'
    """
    if not waiting:
        return ""
    retrainings = "retraining waits for its" if len(waiting) == 1 else "retrainings wait for their"
    more = f" and {len(waiting) - _NAMED} more" if len(waiting) > _NAMED else ""
    return f"{len(waiting)} {retrainings} turn (MLOPS_MAX_RETRAININGS is {most}): {', '.join(waiting[:_NAMED])}{more}"
