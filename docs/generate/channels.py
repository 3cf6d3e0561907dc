"""The reference of the file of channels (MLOPS_CHANNELS), from the JSON schemas of its parts."""

from collections.abc import Iterator
from typing import get_args

from pydantic import BaseModel

from docs.generate.json_schema import default_of, resolved, type_of
from docs.generate.markdown import code, table
from mlops_dagster.alerting.routing.channel_specs import ChannelSpec
from mlops_dagster.alerting.routing.routing import Escalation, Route, Routing


def page() -> str:
    """Return a table for the file, its routes and its escalation, and one for each kind of channel."""
    kinds: tuple[type[BaseModel], ...] = get_args(get_args(ChannelSpec)[0])
    parts: list[tuple[str, type[BaseModel]]] = [
        ("The file", Routing),
        ("`routes`", Route),
        ("`escalate`", Escalation),
    ]
    parts += [(f"`type: {get_args(each.model_fields['type'].annotation)[0]}`", each) for each in kinds]
    return "\n".join(f"## {heading}\n\n{_first_line(each)}\n\n{_table(each)}" for heading, each in parts)


def _table(part: type[BaseModel]) -> str:
    return table(("key", "type", "default", "meaning"), list(_rows(part)))


def _rows(part: type[BaseModel]) -> Iterator[tuple[str, str, str, str]]:
    schema = part.model_json_schema()
    definitions = schema.get("$defs", {})
    for name, value in schema["properties"].items():
        if name == "type":
            continue
        is_part = name in ("channels", "routes", "escalate")
        kind = "see below" if is_part else type_of(value, definitions)
        default = "required" if name in schema.get("required", ()) else code(default_of(value))
        yield code(name), kind, default, str(resolved(value, definitions).get("description", ""))


def _first_line(part: type[BaseModel]) -> str:
    return (part.__doc__ or "").split("\n")[0]
