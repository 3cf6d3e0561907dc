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
    """A trial that could not be made has no verdict: that is an error."""

    PASSED = "passed"
    REFUSED = "refused"
    UNFINISHED = "unfinished"
    """Too slow, or killed from outside: it may have been the machine, so the verdict holds for some minutes."""
    KILLED = "killed"
    """It passed, and then killed workers of the data plane."""


@dataclass(frozen=True, slots=True)
class Report:
    """What a trial found; `seconds` and `memory_bytes` are what the version took for it."""

    verdict: Verdict
    reason: str = ""
    """Why it did not pass: at which step, with which rows, and what to do."""
    notes: tuple[str, ...] = ()
    """Weaknesses of a version that passed, such as rows that it fails on."""
    seconds: float = 0.0
    memory_bytes: int = 0
    deaths: int = 0
    """How many workers it has killed."""

    def to_json(self) -> bytes:
        return orjson.dumps(self)

    @classmethod
    def read(cls, file: Path) -> "Report | None":
        """What `keep` wrote to `file`; None if nothing did."""
        try:
            return cls.from_json(file.read_bytes())
        except OSError:
            return None

    @classmethod
    def from_json(cls, text: bytes) -> "Report | None":
        """The inverse of `to_json`; None for any other text."""
        try:
            return _READER.validate_json(text)
        except ValidationError:
            return None

    def keep(self, file: Path) -> None:
        """Write it to `file`, wholly or not at all. A disk that is full costs another trial, and nothing else."""
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            with NamedTemporaryFile(dir=file.parent, delete=False) as unfinished:
                unfinished.write(self.to_json())
            Path(unfinished.name).replace(file)
        except OSError as error:
            logger.warning("the trial in %s is not remembered: %s", file, error.strerror)


_READER = TypeAdapter(Report)
