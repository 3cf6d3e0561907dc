"""What stands between requests and a model's versions: the guard, and a hold."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from pydantic import Field

from mlops_dagster.documents.strict import StrictModel

GuardMode: TypeAlias = Literal["off", "log", "reject"]
"""What becomes of a request with values that the training data do not know: nothing, it is counted, it is refused."""


class GuardPolicy(StrictModel):
    """How the data plane holds each row of a request against the training data.

    Types, and nulls where none are allowed, are refused in every mode: no version takes them. The guard is about what
    a version takes and was never trained on: numbers far outside their range, categories that are not known.
    """

    mode: GuardMode = "log"
    stretch: float = Field(default=2.0, ge=0, description="how far a range is widened, in widths of it")


@dataclass(frozen=True)
class Hold:
    """Nobody's requests are answered until somebody lifts it."""

    reason: str
    automatic: bool = False
    """Validation did it, and the next good hour lifts it. Another is lifted by a person only."""
