"""The turns of rules that are not judged at every look: those of a thousand models come one after the other."""

from datetime import UTC, datetime, timedelta
from typing import Final
from zlib import crc32

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def is_due(model: str, through: datetime | None, now: datetime, every: timedelta) -> bool:
    """Return whether the model's turn has come since the last look at a rule. A turn is each `every`, at its own time.

    >>> noon = datetime(2026, 3, 1, 12, tzinfo=UTC)
    >>> hour = timedelta(hours=1)
    >>> [is_due("flights", through, noon, hour) for through in (None, noon, noon - hour)]
    [True, False, True]
    """
    if through is None:
        return True
    own = _EPOCH + every * (crc32(model.encode()) % 1000 / 1000)
    return (now - own) // every > (through - own) // every
