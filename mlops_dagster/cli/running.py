"""Functions that every command uses: the stores of the settings, and errors as one line with an exit code."""

import sys
from collections.abc import Callable
from functools import wraps
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, ParamSpec, TypeVar

import typer

from mlops_dagster.cli.output import complain
from mlops_dagster.documents.yaml_files import read_yaml
from mlops_dagster.errors import InvalidInputError, InvalidPolicyError, MlopsError

if TYPE_CHECKING:
    from mlops_dagster.registry import ModelRegistry
    from mlops_dagster.settings import Settings
    from mlops_dagster.stores import Stores

P = ParamSpec("P")
R = TypeVar("R")


def speaks(command: Callable[P, R]) -> Callable[P, R]:
    """Wrap `command` so that an error of this package is printed as one line with its code, not as a traceback."""

    @wraps(command)
    def speaking(*args: P.args, **kwargs: P.kwargs) -> R:
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, TextIOWrapper):
                # A letter that the terminal's encoding lacks must not make the command fail.
                stream.reconfigure(errors="backslashreplace")
        try:
            return command(*args, **kwargs)
        except MlopsError as error:
            complain(error)
            raise typer.Exit(1) from error

    return speaking


def settings() -> "Settings":
    """Return the settings of the environment; raises InvalidInputError."""
    from pydantic import ValidationError

    from mlops_dagster.documents.readable import fields_of
    from mlops_dagster.settings import Settings

    try:
        return Settings()
    except ValidationError as error:
        raise InvalidInputError(f"MLOPS_* in the environment cannot be used: {fields_of(error)}") from error


def open_stores() -> "Stores":
    """Open the stores of the settings; the OS user is the actor of all changes."""
    from mlops_dagster.stores import Stores

    return Stores(settings())


def registry() -> "ModelRegistry":
    """Open the registry alone, in half the time of all stores, for commands that must be quick."""
    from mlops_dagster.registry import ModelRegistry

    return ModelRegistry(settings=settings())


def attributes_of(file: Path) -> object:
    """Return the `attributes` of a `defs.yaml`, or all of a YAML without them; raises InvalidPolicyError."""
    document = next(iter(read_yaml(file, InvalidPolicyError)), None)
    return document["attributes"] if isinstance(document, dict) and "attributes" in document else document


def sections_of(file: Path) -> dict[str, object]:
    """Return the sections of a `defs.yaml`, or of a YAML that has some of them; raises InvalidPolicyError."""
    document = attributes_of(file)
    if not isinstance(document, dict):
        raise InvalidPolicyError(f"{file} has no sections; write some as in defs.yaml, such as `rollout:`")
    return document
