"""The hash chain over events: each hash covers its row and the previous hash."""

import hashlib
import json
from collections.abc import Iterable, Mapping

from mlops_dagster.errors import AuditError

GENESIS = ""
"""The value that stands for the previous hash of the first event."""


def chained_hash(previous: str, row: Mapping[str, object]) -> str:
    """Return the SHA-256 over the previous hash and every column of the row except its own hash."""
    content = {name: value for name, value in row.items() if name != "hash"}
    text = json.dumps([previous, content], sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def verify_chain(rows: Iterable[Mapping[str, object]], noted: Mapping[int, set[str]]) -> str:
    """Return the hash of the last row if all rows are unchanged and complete; raises AuditError otherwise.

    `noted` are hashes kept outside the database, by event id: without them, removed last events would go unnoticed.
    """
    hash_before = GENESIS
    last = 0
    for last, row in enumerate(rows, start=1):
        if row["id"] != last:
            raise AuditError(f"event {last} is missing: event {row['id']} stands in its place; {_ADVICE}")
        if row["hash"] != chained_hash(hash_before, row):
            raise AuditError(f"event {last} is not as it was written, or not where it was written; {_ADVICE}")
        hash_before = str(row["hash"])
        if noted.get(last, {hash_before}) != {hash_before}:
            raise AuditError(f"event {last} has another hash than was noted outside the database; {_ADVICE}")
    lost = max(noted, default=0)
    if lost > last:
        raise AuditError(f"events {last + 1} to {lost} are cut off: {lost} was noted outside the database; {_ADVICE}")
    return hash_before


_ADVICE = "compare the database with a backup"
