"""What all parts of a card have in common."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat

NonNegative = Annotated[int, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]
Metrics = dict[str, FiniteFloat]


class Part(BaseModel):
    """Does not change once made, and takes no field it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")
