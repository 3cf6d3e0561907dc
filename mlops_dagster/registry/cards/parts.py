"""Types of numbers that several parts of a card use."""

from typing import Annotated

from pydantic import Field

NonNegative = Annotated[int, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]
Metrics = dict[str, float]
