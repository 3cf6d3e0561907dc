"""The reference of settings, from the settings model."""

from pydantic_core import PydanticUndefined

from docs.generate.json_schema import type_of
from docs.generate.markdown import code, table
from mlops_dagster.settings import Settings


def page() -> str:
    """Return the table of every `MLOPS_*` variable with type, default and meaning."""
    properties = Settings.model_json_schema()["properties"]
    rows = []
    for name, field in Settings.model_fields.items():
        default = "" if field.default in (None, "", PydanticUndefined) else code(field.default)
        rows.append((code(f"MLOPS_{name.upper()}"), type_of(properties[name], {}), default, field.description or ""))
    return table(("variable", "type", "default", "meaning"), rows)
