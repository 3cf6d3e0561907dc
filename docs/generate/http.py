"""The reference of the HTTP interface, from the OpenAPI document that the data plane serves."""

from collections.abc import Iterator, Mapping
from typing import Any

from docs.generate.json_schema import type_of
from docs.generate.markdown import code, table
from mlops_dagster.serving.protocol.openapi import document


def page() -> str:
    """Return a section for each operation and each schema of a body."""
    described: Any = document()
    routes = [
        text
        for path, operations in described["paths"].items()
        for method, operation in operations.items()
        for text in _operation(f"{method.upper()} {path}", operation)
    ]
    schemas = [_schema(name, each) for name, each in described["components"]["schemas"].items()]
    return "\n".join([*routes, "## Bodies\n", *schemas])


def _operation(heading: str, operation: Mapping[str, Any]) -> Iterator[str]:
    yield f"## `{heading}`\n\n{operation['summary']}. {operation.get('description', '')}\n"
    scopes = [scope for each in operation.get("security", [{"token": []}]) for scope in each.get("token", ())]
    if operation.get("security") == []:
        yield "No token is needed.\n"
    else:
        yield f"Scope of the token: {', '.join(code(each) for each in scopes) or 'any'}.\n"
    headers = [each for each in operation.get("parameters", ()) if each["in"] == "header"]
    if headers:
        yield table(("header", "meaning"), [(code(each["name"]), each.get("description", "")) for each in headers])
    yield table(
        ("status", "body", "meaning"),
        [
            (code(status), _body(answer.get("content", {})), answer["description"])
            for status, answer in operation["responses"].items()
        ],
    )


def _schema(name: str, schema: Mapping[str, Any]) -> str:
    required = schema.get("required", ())
    rows = [
        (
            code(field),
            _type(each),
            "required" if field in required else "",
            each.get("description", ""),
        )
        for field, each in schema.get("properties", {}).items()
    ]
    text = schema.get("description", "")
    return f"### {name}\n\n{text}\n\n" + (table(("field", "type", "", "meaning"), rows) if rows else "")


def _body(content: Mapping[str, Any]) -> str:
    return ", ".join(filter(None, (_type(each["schema"]) for each in content.values() if "schema" in each)))


def _type(schema: Mapping[str, Any]) -> str:
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[-1]
        return f"[{name}](#{name.lower()})"
    if "anyOf" in schema:
        return " or ".join(filter(None, (_type(each) for each in schema["anyOf"])))
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {})) or 'any'}"
    if isinstance(schema.get("type"), list):
        return " or ".join(schema["type"])
    return type_of(schema, {}) if {"type", "enum", "const"} & schema.keys() else ""
