"""Keys of contents: the SHA-256 of their bytes, after a prefix for their kind."""

import re

from mlops_dagster.errors import InvalidInputError

_KEY = re.compile(r"(?:[a-z]+-)?([0-9a-f]{64})")


def sha256_in(key: str) -> str:
    """Return the SHA-256 in a key; raises InvalidInputError for any other text, so that no path leaves the store.

    >>> sha256_in("folder-" + 64 * "0") == 64 * "0"
    True
    """
    match = _KEY.fullmatch(key)
    if match is None:
        raise InvalidInputError(f"{key!r} is not a digest of this store")
    return match[1]
