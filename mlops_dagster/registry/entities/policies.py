"""The policies of a model as they were published: one document, and the code location that published it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from mlops_dagster.documents.readable import reading_row
from mlops_dagster.documents.strict import StrictModel
from mlops_dagster.errors import PolicyConflictError

Policy = TypeVar("Policy", bound=StrictModel)


@dataclass(frozen=True)
class ModelPolicies:
    """All policies of a model from one publication to the next; without a publication, the defaults."""

    model: str
    sections: Mapping[str, object]
    """JSON of each policy, by the name of its section in `defs.yaml`; empty if nothing was published."""
    location: str | None = None
    """The code location that published them; None for a process outside of any, such as a script."""
    published_at: datetime | None = None
    """By the clock of the registry; None if nothing was published."""
    event: int = 0
    """The id of the event that published them; 0 if nothing was published."""

    def section(self, name: str, kind: type[Policy]) -> Policy:
        """Return the policy `name`; the defaults of `kind` if it is absent. Raises UnreadableError."""
        remedy = "publish it again by a run of its code location, or restore a backup of the database"
        with reading_row(f"the policy `{name}` of {self.model} (event {self.event})", remedy):
            return kind.model_validate(self.sections.get(name, {}))

    @property
    def origin(self) -> str:
        """The publisher and the time of publication, in words.

        >>> ModelPolicies("flights", {}).origin
        'the defaults'
        """
        if self.published_at is None:
            return "the defaults"
        return f"published by {publisher(self.location)}, {self.published_at:%Y-%m-%d %H:%M} UTC"


def publisher(location: str | None) -> str:
    """Return the publisher in words.

    >>> publisher("flights"), publisher(None)
    ("the code location 'flights'", 'a process outside of any code location')
    """
    return "a process outside of any code location" if location is None else f"the code location {location!r}"


def check_publisher(before: ModelPolicies, sections: Mapping[str, object], location: str | None) -> None:
    """Raise PolicyConflictError if `location` may not replace the policies in force by `sections`.

    The code location that published them may, and any may replace those of a process outside of a code location.
    """
    if before.location is None or before.location == location:
        return
    remedy = (
        "run it as that code location"
        if location is None
        else "let one of them define the model; if it has moved, "
        f"`mlops policies hand-over {before.model} --to {location} --reason ...`"
    )
    raise PolicyConflictError(
        f"the policies of {before.model} are those of {publisher(before.location)}, and {publisher(location)} has "
        f"others ({', '.join(differences(before.sections, sections))}); {remedy}"
    )


def differences(before: Mapping[str, object], after: Mapping[str, object]) -> list[str]:
    """Return the sections that differ, sorted.

    >>> differences({"drift": {"ks": 0.1}, "gates": {}}, {"drift": {"ks": 0.2}, "gates": {}, "guard": {}})
    ['drift', 'guard']
    """
    absent = object()
    return sorted(each for each in {*before, *after} if before.get(each, absent) != after.get(each, absent))
