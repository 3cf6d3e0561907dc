"""Hold what is true of classification only to `tasks/`: `python -m checks.task_words [FOLDER]`.

A module outside of `tasks/` reaches it through a `Task`, and imports no name of `tasks/classification`, nor a statistic
of classes from `statistics/metrics`. Prints each import with its place; the exit code is 1 if there is one.
"""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_TASKS: Final = "mlops_dagster.tasks"
_CLASSIFICATION: Final = f"{_TASKS}.classification"
_STATISTICS: Final = tuple(
    f"mlops_dagster.statistics.metrics.{name}" for name in ("classification", "expected_performance", "macro_f1")
)
_ROOMS: Final = ("tasks", "statistics")
"""The folders of the package that may: the tasks, and the tools that they are made of."""


def main(folder: str = "mlops_dagster") -> int:
    """Print every import that is refused, and return the exit code."""
    root = Path(folder)
    words = {*_defined(root / "tasks" / "classification")}
    for module in _STATISTICS:
        words |= {*_defined(root / Path(*module.split(".")[1:]).with_suffix(".py"))}
    files = [file for file in sorted(root.rglob("*.py")) if file.relative_to(root).parts[0] not in _ROOMS]
    found = [each for file in files for each in refused(file.read_text(), str(file), frozenset(words))]
    print(*found, sep="\n", end="\n" if found else "")
    return 1 if found else 0


def refused(source: str, place: str, words: frozenset[str]) -> Iterator[str]:
    """Yield place and name of each import of `source` that is one of the words, or of their modules."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [(each.name, "") for each in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [(node.module or "", each.name) for each in node.names]
        else:
            continue
        for module, name in names:
            whole = f"{module}.{name}"
            of_ours = module.startswith((_TASKS, "mlops_dagster.statistics"))
            if whole.startswith((_CLASSIFICATION, *_STATISTICS)) or (of_ours and name in words):
                yield f"{place}:{node.lineno}: {name or module} is of classification only; ask the model's task"


def _defined(path: Path) -> Iterator[str]:
    """Yield the public names that the modules of a folder, or one module, define at their top."""
    for file in [path] if path.is_file() else sorted(path.rglob("*.py")):
        for node in ast.parse(file.read_text()).body:
            if isinstance(node, ast.ClassDef | ast.FunctionDef):
                names = [node.name]
            elif isinstance(node, ast.Assign | ast.AnnAssign):
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                names = [each.id for target in targets for each in ast.walk(target) if isinstance(each, ast.Name)]
            else:
                continue
            yield from (name for name in names if not name.startswith("_"))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
