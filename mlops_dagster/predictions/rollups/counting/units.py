"""Units of evidence: rows that are independent of one another, chosen before any of their labels is known.

Rows of one request are alike, and so are requests of one routing key, and repetitions of one input by a client that
gives no key. Of each such group one row speaks for the unit. Which row that is depends on the request alone and is
settled when the row is scored: no label, however late and whoever sends it, influences which rows are evidence.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from hashlib import blake2b

import orjson

Value = float | str | None


def speaking_row(request: str, rows: int) -> int:
    """Return the position of the row that speaks for a request of `rows` rows: each row with the same chance.

    So the probability that a request counts as wrong is its share of wrong rows.

    >>> speaking_row("worker-1-0000002a", 1), 0 <= speaking_row("worker-1-0000002a", 50) < 50
    (0, True)
    """
    return 0 if rows == 1 else int.from_bytes(blake2b(request.encode(), digest_size=8).digest(), "big") % rows


def unit_of(trial: str, key: str | None, inputs: Mapping[str, Sequence[Value]], row: int, at: datetime) -> str:
    """Return the unit of a row in a trial: its routing key and day (UTC); without a key its inputs and day.

    A key speaks once a day, not once for ever: otherwise faults that begin late would stay unseen with returning users.

    Args:
        trial: the rollout, or its bake, that the row is evidence of; empty while versions are compared by hand.
        key: the routing key of the request.
        inputs: the values of the request, as columns.
        row: the position of the row in the request.
        at: the time of the request.

    >>> noon = datetime(2013, 3, 1, 12, tzinfo=UTC)
    >>> unit_of("1", "ada", {"hour": [7.0]}, 0, noon) == unit_of("1", "ada", {"hour": [8.0]}, 0, noon)
    True
    >>> unit_of("1", None, {"hour": [7.0]}, 0, noon) == unit_of("1", None, {"hour": [8.0]}, 0, noon)
    False
    >>> unit_of("1", "ada", {}, 0, noon) == unit_of("2", "ada", {}, 0, noon)
    False
    """
    which = key_unit(key) if key is not None else _inputs_unit(inputs, row)
    return f"{trial}.{at.astimezone(UTC):%y%m%d}.{which}"


def _inputs_unit(inputs: Mapping[str, Sequence[Value]], row: int) -> str:
    values = {name: column[row] for name, column in inputs.items()}
    return _digest(orjson.dumps(values, option=orjson.OPT_SORT_KEYS | orjson.OPT_SERIALIZE_NUMPY))


def key_unit(key: str) -> str:
    """Return the digest of a routing key, as units and tables hold it."""
    return _digest(b"key " + key.encode())


def _digest(content: bytes) -> str:
    """Return 16 hexadecimal digits: keys and inputs may be of any length, and may identify a person."""
    return blake2b(content, digest_size=8).hexdigest()
