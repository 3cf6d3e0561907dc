"""Markdown (CommonMark with tables) of texts that anybody may have chosen: all of them are escaped."""

import re
from collections.abc import Iterable, Sequence

from mlops_dagster.documents.texts import printable

_SIGNS = re.compile(r"[\\`*<\[\]&~]|(?<![^\W_])_|_(?![^\W_])")
_FIRST = re.compile(r"^(\d{0,9}(?=[.)](\s|$))|(?=[#>])|(?=[+-]([\s-]|$)))")


def escape(text: str) -> str:
    r"""Return the text on one line, escaped so that Markdown shows it unchanged.

    >>> escape("# not *a* heading <b>")
    '\\# not \\*a\\* heading \\<b>'
    """
    signs = _SIGNS.sub(r"\\\g<0>", printable(text))
    return _FIRST.sub(r"\1\\", signs)


def markdown_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    r"""Return a table with a line for each row; empty without rows.

    >>> print(markdown_table(["slice", "rows"], [["carrier=A|B", 7]]))
    | slice | rows |
    | --- | --- |
    | carrier=A\|B | 7 |
    """
    lines = [_line(row) for row in rows]
    return "\n".join([_line(columns), "|" + " --- |" * len(columns), *lines]) if lines else ""


def _line(cells: Iterable[object]) -> str:
    return "| " + " | ".join(escape(str(cell)).replace("|", r"\|") for cell in cells) + " |"
