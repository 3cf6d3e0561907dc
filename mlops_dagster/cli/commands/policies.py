"""The policies in force: what the model's `defs.yaml` says, which the assets and sensors of Dagster hold it to."""

from pathlib import Path
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

from pydantic import BaseModel

from mlops_dagster.documents.readable import fields_of
from mlops_dagster.documents.yaml_files import read_yaml
from mlops_dagster.errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Iterator

Policy = TypeVar("Policy", bound=BaseModel)


class InForce(NamedTuple, Generic[Policy]):
    """A policy, and where it was found."""

    policy: Policy
    origin: str


DEFAULTS = "the defaults"
"""The origin of the policy of a model that no file has."""


def policy_in_force(model: str, key: str, kind: type[Policy], project: Path) -> InForce[Policy]:
    """Return the model's policy `key` from the `defs.yaml` files of the code locations in `project`'s workspace.yaml.

    A model that no file has gets the defaults of `kind`. Raises InvalidInputError if the model's file has no valid
    policy, or if no readable file has the model and some file cannot be read.
    """
    from pydantic import ValidationError

    unreadable = None
    for path in (found for folder in _packages(project) for found in sorted(folder.rglob("defs.yaml"))):
        try:
            attributes = next((each for each in _attributes(path) if each.get("model") == model), None)
        except InvalidInputError as error:  # most likely another model's
            unreadable = error
            continue
        if attributes is not None:
            origin = path.relative_to(project).as_posix()
            try:
                return InForce(kind.model_validate(attributes.get(key) or {}), origin)
            except ValidationError as error:
                raise InvalidInputError(f"{origin} has no {key} policy: {fields_of(error)}; mend that") from error
    if unreadable is not None:
        raise unreadable
    return InForce(kind(), DEFAULTS)


def _packages(project: Path) -> "Iterator[Path]":
    """Yield the folders of the Python packages that hold the code locations."""
    workspace = project / "workspace.yaml"
    documents = read_yaml(workspace) if workspace.exists() else []
    for document in documents:
        entries = document.get("load_from") if isinstance(document, dict) else None
        for entry in entries or []:
            for kind, target in entry.items() if isinstance(entry, dict) else ():
                given = target if isinstance(target, dict) else {kind.removeprefix("python_") + "_name": target}
                name = given.get("module_name") or given.get("package_name")
                if isinstance(name, str):
                    yield project / str(given.get("working_directory") or "") / name.split(".")[0]


def _attributes(path: Path) -> "Iterator[dict[str, object]]":
    for document in read_yaml(path):
        if isinstance(document, dict) and isinstance(document.get("attributes"), dict):
            yield document["attributes"]
