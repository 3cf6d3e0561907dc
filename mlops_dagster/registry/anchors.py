"""Heads of the event chain, noted outside the database, so that a cut tail shows."""

import logging
from collections import defaultdict
from pathlib import Path

logger = logging.getLogger(__name__)


class Anchors:
    """One empty file per head, called `<event id>-<hash>`: it exists or not, and no two writers share one."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def note(self, event: int, head: str) -> None:
        """Called after the commit: a chain without its newest anchor is sound, an anchor without its event is not.

        A failure is logged and no more, because the change it belongs to has happened.
        """
        try:
            self._path.mkdir(parents=True, exist_ok=True)
            (self._path / f"{event:012d}-{head}").touch()
        except OSError as error:
            logger.warning("the head of event %d could not be noted in %s: %s", event, self._path, error)

    def read(self) -> dict[int, set[str]]:
        """The noted hashes by event id."""
        noted = defaultdict(set)
        if self._path.is_dir():
            for file in self._path.iterdir():
                event, _, head = file.name.partition("-")
                noted[int(event)].add(head)
        return noted
