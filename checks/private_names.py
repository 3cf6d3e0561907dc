"""Hold Dagster's private names in one file: `python -m checks.private_names [FOLDER]`.

An upgrade of Dagster may change them without notice. Refused anywhere but in `components/compat.py` are imports of
modules that Dagster keeps to itself, and private attributes of other objects in modules that use Dagster. Prints each
line with its place; the exit code is 1 if there is one.
"""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

COMPAT: Final = Path("components") / "compat.py"
PRIVATE: Final = re.compile(r"^dagster(\._|\.components\.(core|definitions)\b|_shared\b)")
_OWN: Final = {"self", "cls"}


def main(folder: str = "mlops_dagster") -> int:
    """Print every private name that is refused, and return the exit code."""
    allowed = Path(folder) / COMPAT
    found = [each for file in sorted(Path(folder).rglob("*.py")) if file != allowed for each in refused(file)]
    print(*found, sep="\n", end="\n" if found else "")
    return 1 if found else 0


def refused(file: Path) -> Iterator[str]:
    """Yield place and name of each private name of Dagster in `file`."""
    nodes = list(ast.walk(ast.parse(file.read_text())))
    imports = [node for node in nodes if isinstance(node, ast.Import | ast.ImportFrom)]
    modules = {name: each for each in imports for name in _imported(each)}
    for name, where in modules.items():
        if PRIVATE.match(name):
            yield f"{file}:{where.lineno}: {name} is private; import from {COMPAT}"
    if not any(name.split(".")[0] == "dagster" or name.endswith(".compat") for name in modules):
        return
    for node in nodes:
        if isinstance(node, ast.Attribute) and re.match(r"_[^_]", node.attr) and not _is_own(node.value):
            yield f"{file}:{node.lineno}: {ast.unparse(node)} is a private attribute; move it to {COMPAT}"


def _imported(node: ast.Import | ast.ImportFrom) -> list[str]:
    if isinstance(node, ast.ImportFrom):
        return [node.module or ""]
    return [alias.name for alias in node.names]


def _is_own(value: ast.expr) -> bool:
    """Return whether an attribute is of the object itself, or of its parent class."""
    if isinstance(value, ast.Call) and isinstance(value.func, ast.Name):
        return value.func.id == "super"
    return isinstance(value, ast.Name) and value.id in _OWN


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
