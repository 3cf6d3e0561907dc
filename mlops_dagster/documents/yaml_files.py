"""Reading of YAML files that people write."""

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops_dagster.errors import InvalidInputError

if TYPE_CHECKING:
    import yaml


def read_yaml(file: Path, error: type[InvalidInputError] = InvalidInputError) -> list[object]:
    """Return every document of the file; raise `error` if the file is not YAML, or cannot be read.

    A key that occurs twice in one mapping is refused: YAML forbids it, and its parsers silently drop one of the two.
    """
    import yaml

    try:
        return list(yaml.load_all(file.read_text(encoding="utf-8"), Loader=_loader()))
    except OSError as reason:
        raise error(f"cannot read {str(file)!r} ({reason.strerror})") from reason
    except Exception as reason:  # an invalid date raises ValueError, a deep list RecursionError, and so on
        told = " ".join(str(reason).split()).replace('in "<unicode string>", line', "on line") or type(reason).__name__
        raise error(f"{file} cannot be read as YAML: {told}") from reason


@cache
def _loader() -> "type[yaml.CSafeLoader]":
    """Return a safe loader that refuses repeated keys, in C: each start of a code location reads many YAML files."""
    import yaml

    class Loader(yaml.CSafeLoader):
        def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
            _refuse_repeated_keys(node)
            return super().construct_mapping(node, deep)

    return Loader


def _refuse_repeated_keys(node: "yaml.MappingNode") -> None:
    lines: dict[tuple[str, object], int] = {}
    for key, _ in node.value:
        name, line = (key.tag, key.value if isinstance(key.value, str) else id(key)), key.start_mark.line + 1
        if name in lines:
            raise ValueError(
                f"the key {key.value!r} stands on line {lines[name]} and again on line {line}, where one of them would "
                "have no effect; keep one"
            )
        lines[name] = line
