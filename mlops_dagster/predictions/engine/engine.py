"""The protocol of an engine: it runs one SQL statement over tables of the log; the text is the same on all engines.

A statement is written in what DuckDB and Spark SQL share. The two quote names differently (in Spark `"at"` is a text),
so a statement contains plain names only, and each of its tables says which columns they stand for.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeAlias

from mlops_dagster.predictions.log.location import TableAddress

if TYPE_CHECKING:
    import pyarrow as pa
    from deltalake import DeltaTable

DayFilter: TypeAlias = tuple[str, str, str]
"""A condition on the partition of a file: column, operator, value."""


@dataclass(frozen=True, slots=True)
class Stored:
    """The rows of one version of a Delta table, of all its days or of those that `days` allow."""

    at: TableAddress
    table: "DeltaTable"
    days: Sequence[DayFilter] = ()


@dataclass(frozen=True, slots=True)
class Source:
    """A table that a statement reads; `columns` maps the names in the statement to columns of the table."""

    rows: "Stored | pa.Table"
    columns: Mapping[str, str]


class Statement(NamedTuple):
    """One SQL statement, its tables by name, and the values of its `?`."""

    text: str
    tables: Mapping[str, Source]
    parameters: Sequence[object] = ()


class Engine(Protocol):
    """Runs statements."""

    def run(self, statement: Statement) -> "pa.Table":
        """Return the result of the statement, with times in UTC.

        Raises CorruptedError for a file of a table that is gone or damaged, and StorageError if the engine cannot run
        the statement now.
        """
        ...
