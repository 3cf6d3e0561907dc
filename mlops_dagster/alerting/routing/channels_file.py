"""Reading of the file of channels (MLOPS_CHANNELS); an error names the line."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from mlops_dagster.alerting.routing.routing import Routing
from mlops_dagster.documents.yaml_files import read_yaml
from mlops_dagster.errors import InvalidPolicyError

if TYPE_CHECKING:
    from yaml.nodes import Node


def read_channels(file: Path) -> Routing:
    """Return the channels and routes of the file; raises InvalidPolicyError, with the line of each fault.

    Secrets are not read: a process that only records alerts need not be able to.
    """
    document = next(iter(read_yaml(file, InvalidPolicyError)), None)
    try:
        routing = Routing.model_validate(document)
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False, include_input=False)
        raise _refused(file, [(each["loc"], each["msg"].removeprefix("Value error, ")) for each in found]) from None
    known = ", ".join(routing.channels)
    strangers = [
        (place, f"{name!r} is not one of the channels above ({known})")
        for place, name in routing.named()
        if name not in routing.channels
    ]
    if strangers:
        raise _refused(file, strangers)
    return routing


def _refused(file: Path, faults: Sequence[tuple[tuple[str | int, ...], str]]) -> InvalidPolicyError:
    import yaml

    root = yaml.compose(file.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
    told = [_told(root, place, text) for place, text in faults]
    return InvalidPolicyError(f"{file} cannot be used: {'; '.join(told)}")


def _told(root: "Node | None", place: Sequence[str | int], text: str) -> str:
    line, name = _find(root, place)
    return f"line {line}{f', {name}' if name else ''}: {text}"


def _find(node: "Node | None", place: Sequence[str | int]) -> tuple[int, str]:
    """Return the line of a place in the document, and its name; of the nearest outer place, if it is not there."""
    import yaml

    line, names = 1, []
    for part in place:
        if isinstance(node, yaml.MappingNode):
            found = next(((key, value) for key, value in node.value if key.value == part), None)
            if found is None:
                continue  # pydantic names the kind of a channel too
            line, node = found[0].start_mark.line + 1, found[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = node.start_mark.line + 1
        else:
            break
        names.append(str(part))
    return line, ".".join(names)
