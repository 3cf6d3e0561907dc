"""Reading of a store's rows one by one: an unreadable row raises an error naming it, and hides no other row."""

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from mlops_dagster.errors import MlopsError, UnreadableError

if TYPE_CHECKING:
    from pydantic import ValidationError
    from sqlalchemy import Row as SqlRow

Row = TypeVar("Row")
Entity = TypeVar("Entity")

logger = logging.getLogger(__name__)


@contextmanager
def reading_row(name: str, remedy: str = "restore it from a backup of the database") -> Iterator[None]:
    """Raise UnreadableError for any error while reading a stored row; `remedy` is the advice in its message."""
    try:
        yield
    except UnreadableError:
        raise
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        from pydantic import ValidationError

        reason = fields_of(error) if isinstance(error, ValidationError) else f"{type(error).__name__}: {error}"
        raise UnreadableError(f"{name} cannot be read ({reason:.300}), all others can; {remedy}") from error


def readable(rows: Iterable[Row], read: Callable[[Row], Entity]) -> list[Entity]:
    """Return the result of `read` for each row; a row for which it raises UnreadableError is left out, and logged."""
    found = []
    for row in rows:
        try:
            found.append(read(row))
        except UnreadableError as error:
            logger.error("%s", error)
    return found


class Followed(Generic[Entity]):
    """The rows of a small table that is read again and again: only rows that have changed are parsed.

    A row that cannot be read gives its UnreadableError.
    """

    def __init__(self, read: "Callable[[SqlRow[Any]], Entity]") -> None:
        self._read = read
        self._last: dict[str, tuple[SqlRow[Any], Entity | UnreadableError]] = {}

    def entities(self, rows: "Iterable[SqlRow[Any]]") -> dict[str, Entity | UnreadableError]:
        """Return what each row holds by its column `model`, the same object as before for a row that is as before."""
        last, self._last = self._last, {}
        for row in rows:
            known = last.get(row.model)
            self._last[row.model] = known if known is not None and known[0] == row else (row, self._parsed(row))
        return {model: entity for model, (_row, entity) in self._last.items()}

    def _parsed(self, row: "SqlRow[Any]") -> Entity | UnreadableError:
        try:
            return self._read(row)
        except UnreadableError as error:
            return error


def fields_of(error: "ValidationError") -> str:
    """Return the invalid fields, each with its error, in one line, without the values.

    >>> from pydantic import ValidationError
    >>> from mlops_dagster.schema import Feature
    >>> try:
    ...     Feature(name="hour", kind="date")
    ... except ValidationError as error:
    ...     fields_of(error)
    "kind: Input should be 'numeric' or 'categorical'"
    """
    found = error.errors(include_url=False, include_context=False, include_input=False)
    return "; ".join(": ".join(filter(None, (".".join(map(str, each["loc"])), each["msg"]))) for each in found)


def reason_at(position: str, error: BaseException) -> str:
    """Return the reason why a document cannot be used, with its position (file and line) in front."""
    from pydantic import ValidationError

    if isinstance(error, ValidationError):
        return fields_of(error)  # whose places have file and line already, written by Dagster
    if isinstance(error, MlopsError):
        return error.message if position in error.message else f"{position}: {error.message}"
    return f"{position}: {type(error).__name__}: {error}"
