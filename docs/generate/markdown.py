"""Markdown for the generated pages: tables whose cells are escaped, and anchored headings."""

from collections.abc import Iterable, Sequence


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table; a cell may hold Markdown, but no line break and no bar ends it early."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(_cell(each) for each in line)} |\n" for line in lines)


def code(text: object) -> str:
    """Return `text` as inline code; empty for an empty text."""
    shown = str(text)
    return f"`{shown}`" if shown else ""


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
