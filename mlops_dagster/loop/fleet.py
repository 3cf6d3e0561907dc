"""A look at every model of a fleet, in which the trouble of one model stops no other."""

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from mlops_dagster.documents.texts import counted
from mlops_dagster.errors import FleetError, told
from mlops_dagster.loop.spec import ModelSpec

Each = TypeVar("Each", bound=ModelSpec | str)
Found = TypeVar("Found")

logger = logging.getLogger(__name__)

_NAMED: Final = 3
"""The number of models that are named at most where the same was found of several."""

_SAID: Final = 20
"""The number of findings that a text has at most: the UI shows it in one line."""


@dataclass(frozen=True)
class Looks(Generic[Found]):
    """The findings by model, and the errors of the models that could not be looked at."""

    found: Mapping[str, Found]
    failed: Mapping[str, Exception]

    def check(self) -> None:
        """Raise FleetError if a model could not be looked at; the findings on the others stand."""
        if self.failed:
            reasons = in_short({model: told(error) for model, error in self.failed.items()})
            models = len(self.failed) + len(self.found)
            raise FleetError(
                f"{len(self.failed)} of {counted(models, 'models')} could not be looked at, the others were: {reasons}"
            ) from next(iter(self.failed.values()))


def look_at_each(models: Iterable[Each], look: Callable[[Each], Found]) -> Looks[Found]:
    """Return the findings of `look` on each model, given by its spec or name; its errors are kept and logged."""
    found: dict[str, Found] = {}
    failed: dict[str, Exception] = {}
    for each in models:
        model = each if isinstance(each, str) else each.model
        try:
            found[model] = look(each)
        except Exception as error:
            logger.exception("%s: %s", model, told(error))
            failed[model] = error
    return Looks(found, failed)


def in_short(said: Mapping[str, str]) -> str:
    """Return the sentences about models as one text: each sentence once, the ones about few models first.

    >>> in_short({"shop": "no challenger", "flights": "hold: shadow", "cards": "no challenger"})
    'flights: hold: shadow; shop, cards: no challenger'
    >>> in_short({f"model-{number}": "no challenger" for number in range(300)})
    'model-0, model-1, model-2 and 297 more: no challenger'
    """
    models: dict[str, list[str]] = {}
    for model, sentence in said.items():
        models.setdefault(sentence, []).append(model)
    rarest_first = sorted(models.items(), key=lambda each: len(each[1]))
    texts = [f"{_names(those)}: {sentence}" for sentence, those in rarest_first[:_SAID]]
    left_out = sum(len(those) for _, those in rarest_first[_SAID:])
    return "; ".join(texts + ([f"and {left_out:,} more"] if left_out else []))


def _names(models: list[str]) -> str:
    more = f" and {len(models) - _NAMED} more" if len(models) > _NAMED else ""
    return ", ".join(models[:_NAMED]) + more
