"""What the shell offers after Tab: names of models and of their versions. Silent where there is nothing to offer."""

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from mlops_dagster.errors import MlopsError

if TYPE_CHECKING:
    from mlops_dagster.registry import ModelRegistry


def model_names(incomplete: str) -> list[str]:
    """The models whose names begin so."""
    try:
        registry = _registry()
        return [] if registry is None else [name for name in registry.models() if name.startswith(incomplete)]
    except MlopsError:
        return []


def version_names(ctx: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """The versions, of the model named before, that begin so; each with its stage."""
    try:
        registry = _registry()
        if registry is None:
            return []
        # With an option that still waits for its value, the arguments before it are not parameters yet.
        model = ctx.params.get("model") or next(iter(ctx.args), "")
        found = reversed(registry.list(model))
        return [(each.version, each.stage.value) for each in found if each.version.startswith(incomplete)]
    except MlopsError:
        return []


def _registry() -> "ModelRegistry | None":
    from mlops_dagster.cli.running import open_stores, settings

    # A Tab makes no database where there is none.
    database = settings().database
    if database.startswith("sqlite:///") and not Path(database.removeprefix("sqlite:///")).exists():
        return None
    return open_stores().registry
