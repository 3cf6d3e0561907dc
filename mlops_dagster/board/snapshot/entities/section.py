"""The section: content with its time, or the reason why there is none; and the points of a sparkline."""

from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeAlias, TypeVar

Content = TypeVar("Content")


@dataclass(frozen=True, slots=True)
class Hint:
    """The way on from an empty section: a sentence, and the command that it is about."""

    text: str
    command: str = ""


@dataclass(frozen=True, slots=True)
class Section(Generic[Content]):
    """One part of the control room. Its stores failed if `unavailable` is not empty."""

    content: Content | None
    """The last good content if the section is unavailable now; None if none is known."""
    as_of: datetime | None
    """The time that the content is about; None without content."""
    unavailable: str = ""
    """The reason why there is no content of this time, in one sentence; empty if there is."""
    empty: Hint | None = None
    """The way on, if there is nothing to show yet; None if there is."""


@dataclass(frozen=True, slots=True)
class Point:
    """One step of a sparkline."""

    at: datetime
    """The beginning of the step."""
    value: float | None
    """None if nothing was counted in the step."""
    n: int
    """The number of requests, labels or rows that the value comes from."""


Series: TypeAlias = tuple[Point, ...]
"""The hours of a day, oldest first; those without any count have a point too."""
