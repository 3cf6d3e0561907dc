"""The time that a run looks at, as a person or a sensor gives it."""

from datetime import datetime

from mlops_dagster.clock import parse_time
from mlops_dagster.errors import EventTimeError, InvalidInputError
from mlops_dagster.registry import CLOCKS_DIFFER


def time_of(as_of: str, now: datetime) -> datetime:
    """Return the time `as_of`, or now if it is empty.

    Raises InvalidInputError if `as_of` is not a time with a zone, and EventTimeError if it is in the future.
    """
    if not as_of:
        return now
    try:
        time = parse_time(as_of)
    except ValueError as error:
        raise InvalidInputError(f"as_of is {as_of!r}: {error}") from error
    if time > now + CLOCKS_DIFFER:
        raise EventTimeError(f"as_of is {as_of}, but it is {now.isoformat()}; correct it, or leave it out")
    return time
