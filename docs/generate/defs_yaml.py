"""The reference of `defs.yaml`, from the JSON schema of a model's spec."""

from collections.abc import Iterator

from docs.generate.json_schema import Schema, default_of, resolved, type_of
from docs.generate.markdown import code, table
from mlops_dagster.components import ModelSpec


def page() -> str:
    """Return a table for `attributes` and one for each section of it."""
    schema = ModelSpec.model_json_schema()
    definitions = schema.get("$defs", {})
    return "\n".join(_sections("attributes", schema, definitions))


def _sections(path: str, schema: Schema, definitions: dict[str, Schema]) -> Iterator[str]:
    rows, inner = [], []
    required = schema.get("required", ())
    for name, value in schema["properties"].items():
        found = _object(value, definitions)
        is_section = found is not None and bool(found.get("properties"))
        if is_section and found is not None:
            inner.append((name, found))
        kind = f"[section](#{_anchor(f'{path}.{name}')})" if is_section else type_of(value, definitions)
        default = "required" if name in required else "" if is_section else code(default_of(value))
        rows.append(
            (code(name), kind, default, _sentence(value if is_section else resolved(value, definitions), found))
        )
    yield f"## `{path}`\n\n{_told(schema)}\n\n" + table(("key", "type", "default", "meaning"), rows)
    for name, each in inner:
        yield from _sections(f"{path}.{name}", each, definitions)


def _object(value: Schema, definitions: dict[str, Schema]) -> Schema | None:
    """Return the schema of an object that is the value, or one of the choices that it has beside null."""
    found = [resolved(each, definitions) for each in value.get("anyOf", [value])]
    return next((each for each in found if each.get("properties")), None)


def _sentence(value: Schema, section: Schema | None) -> str:
    """Return the description of a key; of a section its first sentence, as the rest stands at the section."""
    if "description" in value or section is None:
        return str(value.get("description", ""))
    return str(section.get("description", "")).split("\n\n")[0]


def _told(schema: Schema) -> str:
    """Return the description without its examples in Python."""
    return str(schema.get("description", "")).split(">>>")[0].strip()


def _anchor(heading: str) -> str:
    return heading.replace(".", "")
