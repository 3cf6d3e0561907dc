"""The text form of a side of a comparison: a version, a time, or both."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from mlops_dagster.errors import InvalidInputError
from mlops_dagster.registry.entities.semantic_version import parse_version

TRAINING = "training"
EVER = datetime(1970, 1, 1, tzinfo=UTC)

_TIME = re.compile(r"(\d{4}-\d\d-\d\d)(?:T(\d\d))?Z?")
_HOW = "write an hour (2013-03-01T10), a day (2013-03-01) or a range without its end (2013-03-01..2013-03-08), UTC"


@dataclass(frozen=True, slots=True)
class Side:
    """The rows that one version (None: all) served in [since, until), in whole hours; or its training set."""

    text: str
    version: str | None
    since: datetime
    until: datetime
    training: bool = False


def parse_side(text: str, now: datetime) -> Side:
    """Parse a version, a time, `VERSION@TIME` or `VERSION@training`; a version alone is all it served until `now`.

    Raises InvalidInputError for a time that is malformed, empty or still to come; InvalidVersionError.

    >>> side = parse_side("v2.4.1@2013-03-01T10", datetime(2013, 3, 2, tzinfo=UTC))
    >>> side.version, side.since.hour, side.until.hour
    ('2.4.1', 10, 11)
    """
    name, at, when = text.rpartition("@")
    if not at and not re.match(r"\d{4}-", text):
        return Side(text, str(parse_version(text)), EVER, now)
    version = str(parse_version(name)) if name else None
    if when == TRAINING and version:
        return Side(text, version, EVER, now, training=True)
    since, until = _window(when)
    if since >= until:
        raise InvalidInputError(f"the time {when!r} is empty, or ends before it begins; {_HOW}")
    if since > now:
        raise InvalidInputError(f"nothing was served in {when!r} yet: it is {now:%Y-%m-%dT%H:%M} UTC")
    return Side(text, version, since, until)


def _window(text: str) -> tuple[datetime, datetime]:
    first, between, last = text.partition("..")
    since, until = _hour_or_day(first)
    return (since, _hour_or_day(last)[0]) if between else (since, until)


def _hour_or_day(text: str) -> tuple[datetime, datetime]:
    found = _TIME.fullmatch(text)
    if found is None:
        raise InvalidInputError(f"{text!r} is not a time; {_HOW}")
    day, hour = found.groups()
    try:
        since = datetime.fromisoformat(f"{day}T{hour or '00'}:00:00+00:00")
        return since, since + (timedelta(days=1) if hour is None else timedelta(hours=1))
    except (ValueError, OverflowError) as error:
        raise InvalidInputError(f"{text!r} is not a time ({error}); {_HOW}") from error
