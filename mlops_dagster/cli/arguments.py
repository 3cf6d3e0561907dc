"""Arguments that several commands take, and their parsing."""

import math
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

import typer

from mlops_dagster.cli.completion import model_names, version_names
from mlops_dagster.clock import parse_time

Model = Annotated[str, typer.Argument(help="name of the model, e.g. flights-delay", autocompletion=model_names)]
ModelOption = Annotated[str, typer.Option("--model", help="name of the model", autocompletion=model_names)]
Version = Annotated[str, typer.Argument(help="semantic version, e.g. 2.4.1", autocompletion=version_names)]
Reason = Annotated[str, typer.Option(help="the reason; it is kept for ever")]
Json = Annotated[bool, typer.Option("--json", help="print one JSON document instead")]


def time_of(text: str | None) -> datetime | None:
    """Parse the time of an option that may be left out; a usage error for a text without a zone or a time."""
    if text is None:
        return None
    try:
        return parse_time(text)
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is not a time with a zone, such as 2026-03-01T06:00Z") from error


def pairs(option: str, given: Sequence[str]) -> dict[str, str]:
    """Parse the key=value texts of an option; a usage error for any other text, and for a key given twice.

    >>> pairs("--tag", ["env=prod", "query=a=b"])
    {'env': 'prod', 'query': 'a=b'}
    """
    found: dict[str, str] = {}
    for text in given:
        key, equals, value = text.partition("=")
        if not key or not equals:
            raise typer.BadParameter(f"{text!r} is not key=value", param_hint=option)
        if key in found:
            raise typer.BadParameter(f"{key!r} is given twice", param_hint=option)
        found[key] = value
    return found


def numbers(option: str, given: Sequence[str]) -> dict[str, float]:
    """Parse the key=number texts of an option; a usage error for any other text, and for a key given twice."""
    return {key: _number(option, key, value) for key, value in pairs(option, given).items()}


def _number(option: str, key: str, value: str) -> float:
    try:
        found = float(value)
    except ValueError:
        found = math.nan
    if not math.isfinite(found):
        raise typer.BadParameter(f"{key}={value!r} is not a finite number", param_hint=option)
    return found
