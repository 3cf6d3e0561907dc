"""Hold docstrings and messages to HOUSE's language: `python -m checks.language [FOLDER]`.

The first line of a docstring says the noun, and a function's begins with an imperative (ruff's D401 sees to that).
Refused are openers such as "What ..." and "Who ...", and words that have to be decoded; these words in the messages of
errors, helps and descriptions too. Prints each text with its place; the exit code is 1 if there is one.
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
BANNED_IN_MESSAGES: Final = re.compile(
    r"\b(beside|(?<!there )(is|are) no|of (its|their) own|comes about|that which|nobody|somebody|whoever|whatever)\b",
    re.IGNORECASE,
)
_TEXTS = ("description", "help", "reason")
_WITH_DOCSTRING = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def main(folder: str = "mlops_dagster") -> int:
    """Print every first line that is refused, and return the exit code."""
    found = [each for file in sorted(Path(folder).rglob("*.py")) for each in refused(file)]
    print(*found, sep="\n", end="\n" if found else "")
    return 1 if found else 0


def refused(file: Path) -> Iterator[str]:
    """Yield place, word and text of each first line and message of `file` that is refused."""
    for node in ast.walk(ast.parse(file.read_text())):
        for message in _messages(node):
            word = BANNED_IN_MESSAGES.search(message)
            if word is not None:
                yield f"{file}:{getattr(node, 'lineno', 1)}: {word.group()!r}: {message}"
        text = ast.get_docstring(node) if isinstance(node, _WITH_DOCSTRING) else None
        first = "" if text is None else text.split("\n")[0]
        word = BANNED.search(first)
        if word is not None:
            yield f"{file}:{getattr(node, 'lineno', 1)}: {word.group()!r}: {first}"


def _messages(node: ast.AST) -> Iterator[str]:
    """Yield the fixed parts of an error's message, or of a help or description."""
    if not isinstance(node, ast.Call):
        return
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    texts = node.args if name.endswith(("Error", "BadParameter")) else []
    for text in (*texts, *(each.value for each in node.keywords if each.arg in _TEXTS)):
        parts = [each.value for each in ast.walk(text) if isinstance(each, ast.Constant)]
        yield "".join(part for part in parts if isinstance(part, str))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
