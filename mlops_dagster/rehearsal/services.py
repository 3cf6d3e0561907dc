"""Real services that a rehearsal runs on, in place of the files of its home."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mlops_dagster.errors import InvalidInputError


@dataclass(frozen=True, slots=True)
class Services:
    """Places of the stores that are not in the home, and how many data planes share them.

    The database and the buckets must be new: a rehearsal is a history of its own.
    """

    database_url: str | None = None
    storage_url: str | None = None
    log_url: str | None = None
    planes: int = 1
    """The number of data planes; several have a home each, and are asked in turn, as a balancer does."""

    def __post_init__(self) -> None:
        if self.planes > 1 and None in (self.database_url, self.storage_url, self.log_url):
            raise InvalidInputError(
                f"{self.planes} data planes share a database, a store of model files and a log; name each one"
            )

    @property
    def settings(self) -> Mapping[str, str]:
        """The variables of the environment for the stores."""
        urls = {"DATABASE_URL": self.database_url, "STORAGE_URL": self.storage_url, "LOG_URL": self.log_url}
        return {f"MLOPS_{name}": url for name, url in urls.items() if url is not None}

    def homes(self, home: Path) -> list[Path]:
        """Return the homes of the data planes; the only one serves from the rehearsal's own home."""
        return [home] if self.planes == 1 else [home / "planes" / str(number + 1) for number in range(self.planes)]
