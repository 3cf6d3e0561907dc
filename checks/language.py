"""Hold the first lines of docstrings to HOUSE's language: `python -m checks.language [FOLDER]`.

A first line says the noun, and a function's begins with an imperative (ruff's D401 sees to that). Refused are openers
such as "What ..." and "Who ...", and words that have to be decoded. Prints each line with its place; the exit code is 1
if there is one.
"""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

BANNED: Final = re.compile(
    r"^(what|who|whom|whose|how|where|when|which|whether|that)\b"
    r"|\b(beside|is no|are no|of its own|of their own|comes about|that which|nobody|somebody|whoever|whatever)\b",
    re.IGNORECASE,
)
_WITH_DOCSTRING = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def main(folder: str = "mlops_dagster") -> int:
    """Print every first line that is refused, and return the exit code."""
    found = [each for file in sorted(Path(folder).rglob("*.py")) for each in refused(file)]
    print(*found, sep="\n", end="\n" if found else "")
    return 1 if found else 0


def refused(file: Path) -> Iterator[str]:
    """Yield place, word and text of each first line of `file` that is refused."""
    for node in ast.walk(ast.parse(file.read_text())):
        text = ast.get_docstring(node) if isinstance(node, _WITH_DOCSTRING) else None
        first = "" if text is None else text.split("\n")[0]
        word = BANNED.search(first)
        if word is not None:
            yield f"{file}:{getattr(node, 'lineno', 1)}: {word.group()!r}: {first}"


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
