"""The life of a version, and the steps it may take."""

from collections.abc import Mapping
from enum import StrEnum

from mlops_dagster.errors import InvalidInputError


class Stage(StrEnum):
    """Where a version stands.

    >>> Stage.parse("PROD") is Stage.parse("production") is Stage.PRODUCTION
    True
    """

    REGISTERED = "Registered"
    SHADOW = "Shadow"
    """Scores what the champion scores, and answers nobody."""
    CANARY = "Canary"
    """Answers a share of the traffic."""
    PRODUCTION = "Production"
    """The champion: answers the rest."""
    DEPRECATED = "Deprecated"

    @classmethod
    def parse(cls, text: str) -> "Stage":
        """The stage called `text` in any case, or "prod"; raises InvalidInputError."""
        name = text.upper()
        if name == "PROD":
            return cls.PRODUCTION
        if name not in cls.__members__:
            raise InvalidInputError(f"no stage {text!r}; stages are {', '.join(cls)}")
        return cls[name]


ALLOWED: Mapping[Stage, frozenset[Stage]] = {
    Stage.REGISTERED: frozenset({Stage.SHADOW, Stage.CANARY, Stage.PRODUCTION, Stage.DEPRECATED}),
    Stage.SHADOW: frozenset({Stage.REGISTERED, Stage.CANARY, Stage.PRODUCTION, Stage.DEPRECATED}),
    Stage.CANARY: frozenset({Stage.REGISTERED, Stage.SHADOW, Stage.PRODUCTION, Stage.DEPRECATED}),
    Stage.PRODUCTION: frozenset({Stage.DEPRECATED}),
    # Back into production without a new trial is what `rollback` is for.
    Stage.DEPRECATED: frozenset({Stage.SHADOW}),
}
"""What `transition` may do."""
