"""The stages of a version, and the allowed transitions between them."""

from collections.abc import Mapping
from enum import StrEnum

from mlops_dagster.errors import InvalidInputError


class Stage(StrEnum):
    """The stage of a version.

    >>> Stage.parse("PROD") is Stage.parse("production") is Stage.PRODUCTION
    True
    """

    REGISTERED = "Registered"
    SHADOW = "Shadow"
    """Scores copies of the champion's requests, and answers none."""
    CANARY = "Canary"
    """Answers a share of the traffic."""
    PRODUCTION = "Production"
    """Champion: answers all the rest of the traffic."""
    DEPRECATED = "Deprecated"

    @classmethod
    def parse(cls, text: str) -> "Stage":
        """Return the stage called `text` in any case, or "prod"; raises InvalidInputError."""
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
    # Back into production without a new trial needs `rollback`.
    Stage.DEPRECATED: frozenset({Stage.SHADOW}),
}
"""The stages to which `transition` may move a version, by its present stage."""
