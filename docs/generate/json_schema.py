"""Types, limits and defaults of a JSON schema, in words."""

import json
from collections.abc import Mapping
from typing import Any

Schema = Mapping[str, Any]

_LIMITS = {
    "minimum": "≥ {}",
    "exclusiveMinimum": "> {}",
    "maximum": "≤ {}",
    "exclusiveMaximum": "< {}",
    "minItems": "at least {}",
}


def type_of(schema: Schema, definitions: Mapping[str, Schema]) -> str:
    """Return the type of a schema with its limits: "integer, ≥ 1", "text or null", "`off`, `log` or `reject`"."""
    schema = resolved(schema, definitions)
    if "enum" in schema or "const" in schema:
        return _either([f"`{each}`" for each in schema.get("enum", [schema.get("const")])])
    if "anyOf" in schema:
        return _either([type_of(each, definitions) for each in schema["anyOf"]])
    limits = [text.format(f"{schema[name]:g}") for name, text in _LIMITS.items() if name in schema]
    return ", ".join([_base(schema, definitions), *limits])


def resolved(schema: Schema, definitions: Mapping[str, Schema]) -> Schema:
    """Return the schema that `schema` refers to; `schema` itself if it is no reference."""
    reference = schema.get("$ref") or next((each["$ref"] for each in schema.get("allOf", ()) if "$ref" in each), None)
    return schema if reference is None else {**definitions.get(reference.rsplit("/", 1)[-1], {}), **_own(schema)}


def default_of(schema: Schema) -> str:
    """Return the default as YAML would show it in one line; empty if there is none."""
    return json.dumps(schema["default"]) if "default" in schema else ""


def _own(schema: Schema) -> Schema:
    return {name: value for name, value in schema.items() if name not in ("$ref", "allOf")}


def _base(schema: Schema, definitions: Mapping[str, Schema]) -> str:
    kind = schema.get("type", "")
    if kind == "array":
        items: Schema = schema.get("items") or next(iter(schema.get("prefixItems", ())), {})
        return f"list of {type_of(items, definitions)}"
    if kind == "object":
        values = schema.get("additionalProperties")
        return f"mapping to {type_of(values, definitions)}" if isinstance(values, Mapping) and values else "mapping"
    if kind == "string":
        return {"date": "date", "path": "path", "date-time": "time"}.get(schema.get("format", ""), "text")
    return kind or "any"


def _either(texts: list[str]) -> str:
    return texts[0] if len(texts) == 1 else f"{', '.join(texts[:-1])} or {texts[-1]}"
