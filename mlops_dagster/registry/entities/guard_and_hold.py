"""The guard and the hold, which stand between requests and a model's versions."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from pydantic import Field

from mlops_dagster.documents.strict import StrictModel

GuardMode: TypeAlias = Literal["off", "log", "reject"]
"""The treatment of requests with values unknown to the training data: none, counted, or refused."""


class GuardPolicy(StrictModel):
    """The limits that the data plane checks each row of a request against.

    Wrong types, and nulls where not allowed, are refused in every mode: no version accepts them. The guard is for
    values that a version accepts but was never trained on: numbers far outside their range, and unknown categories.
    """

    mode: GuardMode = "log"
    stretch: float = Field(default=2.0, ge=0, description="how far a range is widened, in widths of it")


@dataclass(frozen=True)
class Hold:
    """A hold of a model: no request is answered until it is lifted."""

    reason: str
    automatic: bool = False
    """Set by a failed validation, and lifted by the next good hour. Any other hold is lifted by a person only."""
