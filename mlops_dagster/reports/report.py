"""The report: the typed findings about one model in one period."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Final, Generic, TypeVar

from pydantic import TypeAdapter

from mlops_dagster.documents.json_text import json_text

Content = TypeVar("Content")

HOUR: Final = timedelta(hours=1)
DAY: Final = timedelta(days=1)
WEEK: Final = timedelta(weeks=1)


@dataclass(frozen=True)
class ReportKind(Generic[Content]):
    """A kind of report: its name, the period that each report covers, and the type of its content.

    The content is a dataclass or pydantic model that JSON can hold; an infinite number is kept as a string.
    """

    name: str
    period: timedelta
    content: type[Content]

    def to_json(self, content: Content) -> str:
        """Return the content as canonical JSON.

        >>> ReportKind("rows", HOUR, dict[str, float]).to_json({"e_value": float("inf")})
        '{"e_value": "Infinity"}'
        """
        return json_text(self._adapter.dump_python(content, mode="json"))

    def from_json(self, body: str) -> Content:
        """Return the content that `to_json` wrote. Raises pydantic's ValidationError for any other text."""
        return self._adapter.validate_json(body)

    @cached_property
    def _adapter(self) -> TypeAdapter[Content]:
        return TypeAdapter(self.content)


@dataclass(frozen=True, slots=True)
class Report(Generic[Content]):
    """The findings about a model in [start, start + period), as of `made_at`."""

    model: str
    kind: str
    start: datetime
    revision: int
    """The number of the revision, from 1 on; a report that is made again is a new revision, and earlier ones stay."""
    made_at: datetime
    champion: str | None
    """The version that the report is about; None if the model had no champion."""
    verdict: str
    reason: str
    content: Content
