"""`mlops models register`: a new version from an artifact."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mlops_dagster.cli.arguments import Json, Model, numbers, pairs
from mlops_dagster.cli.output import hint, print_json, say, upload_bar
from mlops_dagster.cli.running import settings
from mlops_dagster.documents.readable import fields_of
from mlops_dagster.documents.yaml_files import read_yaml
from mlops_dagster.errors import InvalidInputError, NotFoundError

if TYPE_CHECKING:
    from mlops_dagster.registry import ModelCard, ModelRegistry


def register(
    model: Model,
    artifact: Annotated[str, typer.Argument(help="path or URI of a file or folder")],
    version: Annotated[str | None, typer.Option(help="semantic version; else the next patch")] = None,
    description: Annotated[str, typer.Option(help="the changes in this version")] = "",
    card: Annotated[
        Path | None, typer.Option(help="the model card, JSON or YAML", exists=True, dir_okay=False, readable=True)
    ] = None,
    tag: Annotated[list[str] | None, typer.Option(metavar="KEY=TEXT", help="any number of them")] = None,
    metric: Annotated[list[str] | None, typer.Option(metavar="KEY=NUMBER", help="any number of them")] = None,
    lineage: Annotated[list[str] | None, typer.Option(metavar="KEY=TEXT", help="any number of them")] = None,
    json: Json = False,
) -> None:
    """Store an artifact and give it a version; the same bytes under the same version again change nothing."""
    tags, metrics, origins = (
        pairs("--tag", tag or ()),
        numbers("--metric", metric or ()),
        pairs("--lineage", lineage or ()),
    )
    read = None if card is None else read_card(card)
    from mlops_dagster.registry import ModelRegistry

    with upload_bar() as progress:
        registry = ModelRegistry(settings=settings(), progress=progress)
        existed = version is not None and _exists(registry, model, version)
        found = registry.register(
            model, artifact, version, tags=tags, description=description, card=read, metrics=metrics, lineage=origins
        )
    if json:
        print_json({"model": found.model, "version": found.version, "digest": found.digest, "existed": existed})
    else:
        say(f"{found.model} {found.version} {'was there already' if existed else 'registered'}: {found.digest}")
    if existed:
        hint("it stays as it was: only its bytes were compared")


def read_card(path: Path) -> "ModelCard":
    """Read the card in a JSON or YAML file; raises InvalidInputError naming the fields that are wrong."""
    from pydantic import ValidationError

    from mlops_dagster.registry import ModelCard

    try:
        if path.suffix == ".json":
            return ModelCard.model_validate_json(path.read_bytes())
        return ModelCard.model_validate(next(iter(read_yaml(path)), None))
    except ValidationError as error:
        raise InvalidInputError(f"{path} is not a model card: {fields_of(error)}; mend that") from error
    except OSError as error:
        raise InvalidInputError(f"cannot read {str(path)!r} ({error.strerror})") from error


def _exists(registry: "ModelRegistry", model: str, version: str) -> bool:
    try:
        registry.get(model, version)
    except NotFoundError:
        return False
    return True
