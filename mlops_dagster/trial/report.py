"""The outcome of a trial."""

import logging
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from tempfile import NamedTemporaryFile

import orjson
from pydantic import TypeAdapter, ValidationError

logger = logging.getLogger(__name__)


class Verdict(StrEnum):
    """The verdict of a trial. A trial that could not be made has none: that is an error."""

    PASSED = "passed"
    REFUSED = "refused"
    UNFINISHED = "unfinished"
    """Too slow, or killed from outside: the machine may be the cause, so the verdict holds for some minutes only."""
    KILLED = "killed"
    """The version killed workers of the data plane after it had passed."""


@dataclass(frozen=True, slots=True)
class Report:
    """The findings of a trial; `seconds` and `memory_bytes` are what the version needed for it."""

    verdict: Verdict
    reason: str = ""
    """Why it did not pass: at which step, with which rows, and what to do."""
    notes: tuple[str, ...] = ()
    """Weaknesses of a version that passed, such as rows that it fails on."""
    seconds: float = 0.0
    memory_bytes: int = 0
    deaths: int = 0
    """The number of workers that the version has killed."""

    def to_json(self) -> bytes:
        return orjson.dumps(self)

    @classmethod
    def read(cls, file: Path) -> "Report | None":
        """Return the report that `keep` wrote to `file`; None if the file is missing or holds no report."""
        try:
            return cls.from_json(file.read_bytes())
        except OSError:
            return None

    @classmethod
    def from_json(cls, text: bytes) -> "Report | None":
        """Return the report that `to_json` made the text of; None for any other text."""
        try:
            return _READER.validate_json(text)
        except ValidationError:
            return None

    def keep(self, file: Path) -> None:
        """Write the report to `file`, wholly or not at all; a full disk is logged, and costs another trial."""
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            with NamedTemporaryFile(dir=file.parent, delete=False) as unfinished:
                unfinished.write(self.to_json())
            Path(unfinished.name).replace(file)
        except OSError as error:
            logger.warning("the trial in %s is not remembered: %s", file, error.strerror)


_READER = TypeAdapter(Report)
