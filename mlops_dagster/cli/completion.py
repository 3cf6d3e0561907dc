"""Shell completion: the names of models and of their versions; silent if there are none to offer."""

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from mlops_dagster.errors import MlopsError

if TYPE_CHECKING:
    from mlops_dagster.registry import ModelRegistry


def model_names(incomplete: str) -> list[str]:
    """Return the models whose names begin with `incomplete`."""
    try:
        registry = _registry()
        return [] if registry is None else [name for name in registry.models() if name.startswith(incomplete)]
    except MlopsError:
        return []


def version_names(ctx: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """Return the versions, of the model named before, that begin with `incomplete`; each with its stage."""
    try:
        registry = _registry()
        if registry is None:
            return []
        # While an option still waits for its value, the arguments before it are not parameters yet.
        model = ctx.params.get("model") or next(iter(ctx.args), "")
        found = reversed(registry.list(model))
        return [(each.version, each.stage.value) for each in found if each.version.startswith(incomplete)]
    except MlopsError:
        return []


def _registry() -> "ModelRegistry | None":
    from mlops_dagster.cli.running import open_stores, settings

    # Pressing Tab must not create a database.
    database = settings().database
    if database.startswith("sqlite:///") and not Path(database.removeprefix("sqlite:///")).exists():
        return None
    return open_stores().registry
