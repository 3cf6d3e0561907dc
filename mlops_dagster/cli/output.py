"""Output of the commands: tables and lines for people, one JSON document for programs."""

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TypeAlias

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from mlops_dagster.clock import in_utc
from mlops_dagster.errors import MlopsError, StorageError

Cell: TypeAlias = str | Text

NONE = "-"
"""The text of a cell without a value."""

# Output to a pipe or a file is never cut off or wrapped.
_UNLIMITED = 100_000


def stdout() -> Console:
    return Console(width=None if sys.stdout.isatty() else _UNLIMITED, highlight=False)


def table(columns: Sequence[str | Column], rows: Iterable[Sequence[Cell]]) -> None:
    """Print a table: a row is one line of a pipe; on a terminal the last column wraps, the others only if they must."""
    *first, last = [Column(column) if isinstance(column, str) else column for column in columns]
    for column in first:
        column.no_wrap = True
    last.overflow = "fold"
    printed = Table(*first, last, box=SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for row in rows:
        printed.add_row(*map(_shown, row))
    stdout().print(printed)


def facts(pairs: Iterable[tuple[str, Cell]]) -> None:
    """Print a line for each fact, with its name in front."""
    printed = Table.grid(Column(style="dim", no_wrap=True), Column(overflow="fold"), padding=(0, 2))
    for name, value in pairs:
        printed.add_row(name, _shown(value))
    stdout().print(printed)


def title(text: str) -> None:
    """Print the title of the table that follows."""
    stdout().print(Text(f"\n{clean(text)}", style="bold"))


def say(text: str) -> None:
    """Print one line, unwrapped."""
    stdout().print(Text(clean(text)), soft_wrap=True)


def hint(text: str) -> None:
    """Print one line on stderr, in addition to the output that was asked for."""
    Console(stderr=True, highlight=False).print(Text(clean(text), style="dim"), soft_wrap=True)


def complain(error: MlopsError) -> None:
    """Print an error of this package, in one line on stderr."""
    line = Text.assemble(("error", "red"), f" ({error.code}): ", clean(error.message))
    Console(stderr=True, highlight=False).print(line, soft_wrap=True)


@contextmanager
def upload_bar() -> Iterator[Callable[[int, int], None]]:
    """Show a bar on stderr while an artifact is uploaded to S3; nothing in a pipe."""
    from rich.progress import BarColumn, DownloadColumn, Progress, TransferSpeedColumn

    columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("upload", total=None, visible=False)
        yield lambda done, total: bar.update(task, completed=done, total=total, visible=True)


def print_json(document: object) -> None:
    """Print the document in UTF-8, in any encoding of the terminal: times as ISO 8601, infinity as a string."""
    from pydantic_core import to_json

    typer.echo(to_json(document, indent=2, inf_nan_mode="strings"))


def write_text(file: Path, text: str) -> None:
    """Write the text into the file, which is replaced; raises StorageError."""
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise StorageError(f"cannot write {str(file)!r} ({error.strerror}); name another file") from error


def day(time: datetime) -> str:
    return f"{in_utc(time):%Y-%m-%d}"


def minute(time: datetime) -> str:
    return f"{in_utc(time):%Y-%m-%d %H:%M}"


def number(value: float | None) -> str:
    return NONE if value is None else f"{value:.4f}"


def right(header: str) -> Column:
    """Return a right-aligned column, for numbers."""
    return Column(header, justify="right")


def clean(text: str) -> str:
    """Escape characters that would move the cursor or break the line: people write reasons, and others read them.

    >>> clean("so [red]bad[/red]\\n\\x1b[2J")
    'so [red]bad[/red]\\\\n\\\\x1b[2J'
    """
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)


def _shown(cell: Cell) -> Text:
    return Text(clean(cell)) if isinstance(cell, str) else cell
