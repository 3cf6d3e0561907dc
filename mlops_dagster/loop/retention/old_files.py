"""Files that are old, by the days in their names."""

import re
from collections.abc import Collection, Iterator
from datetime import date, datetime
from pathlib import PurePosixPath
from typing import Final

from mlops_dagster.storage.files import Files

_DAY: Final = re.compile(r"\d{4}-\d\d-\d\d")


def old_names(names: Collection[str], before: datetime) -> Iterator[str]:
    """Yield the files of days before a time; the last day in its name is that of a file, and one without stays.

    >>> noon = datetime(2026, 3, 2, 12)
    >>> list(old_names(["m/2026-02-28T02_2026-03-01T02-a.html", "m/2026-03-02T01.bin", "m/index.html"], noon))
    ['m/2026-02-28T02_2026-03-01T02-a.html']
    """
    for name in names:
        days = [date.fromisoformat(each) for each in _DAY.findall(PurePosixPath(name).name)]
        if days and days[-1] < before.date():
            yield name


def remove_old(files: Files, model: str, before: datetime, *, dry_run: bool) -> int:
    """Remove the files of a model of days before a time; return how many. Raises StorageError."""
    old = list(old_names(files.names(model), before))
    for name in [] if dry_run else old:
        files.remove(name)
    return len(old)
