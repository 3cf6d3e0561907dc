"""The hash chain over events: each hash covers its row and the hash before it."""

import hashlib
import json
from collections.abc import Iterable, Mapping

from mlops_dagster.errors import AuditError

GENESIS = ""
"""What stands in place of the hash before the first event."""


def chained_hash(previous: str, row: Mapping[str, object]) -> str:
    """SHA-256 over the hash before and every column of the row but its own hash."""
    content = {name: value for name, value in row.items() if name != "hash"}
    text = json.dumps([previous, content], sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def verify_chain(rows: Iterable[Mapping[str, object]], noted: Mapping[int, set[str]]) -> str:
    """The hash of the last row, if all rows are as they were written and none is missing; raises AuditError.

    `noted` are hashes kept elsewhere, by the id of their event: without them a cut tail would not show.
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
