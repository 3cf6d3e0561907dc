"""The reference of the program `mlops`, from its tree of commands."""

from collections.abc import Iterator
from typing import Any

import typer.main

from docs.generate.markdown import code, table
from mlops_dagster.cli import app

# Typer has a copy of click inside, whose classes have no public name: commands and parameters are told apart by their
# attributes.
_SHELL = ("install_completion", "show_completion", "help")


def page() -> str:
    """Return a section for each command, with its usage, text, arguments and options."""
    return "\n".join(_commands("mlops", typer.main.get_command(app), None))


def _commands(path: str, command: Any, parent: Any) -> Iterator[str]:
    context = command.context_class(command, info_name=path.rsplit(" ", 1)[-1], parent=parent)
    commands = getattr(command, "commands", None)
    if commands is not None:
        yield f"## `{path}`\n\n{command.help}\n\n{getattr(command, 'epilog', None) or ''}\n"
        for name, each in sorted(commands.items(), key=lambda item: hasattr(item[1], "commands")):
            yield from _commands(f"{path} {name}", each, context)
        return
    usage = " ".join([path, *command.collect_usage_pieces(context)])
    yield f"### `{path}`\n\n{_text(command.help)}\n\n```text\n{usage}\n```\n\n{_parameters(command, context)}"


def _parameters(command: Any, context: Any) -> str:
    shown = [each for each in command.get_params(context) if each.name not in _SHELL]
    rows = [(_names(each), _default(each), getattr(each, "help", None) or "") for each in shown]
    return table(("parameter", "default", "meaning"), rows) if rows else ""


def _names(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        return code(parameter.name.upper())
    return ", ".join(code(name) for name in (*parameter.opts, *parameter.secondary_opts))


def _default(parameter: Any) -> str:
    if parameter.required:
        return "required"
    default = parameter.default
    return "" if default is None or default is False or callable(default) else code(default)


def _text(help_text: str | None) -> str:
    return (help_text or "").strip()
