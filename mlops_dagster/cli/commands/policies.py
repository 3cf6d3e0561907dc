"""The drift policy in force: that of the model's `defs.yaml`, which Dagster's assets apply."""

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from mlops_dagster.documents.readable import fields_of
from mlops_dagster.documents.yaml_files import read_yaml
from mlops_dagster.errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlops_dagster.monitoring import DriftPolicy


class InForce(NamedTuple):
    """A policy, and the place where it was found."""

    policy: "DriftPolicy"
    origin: str


def drift_policy(model: str, project: Path) -> InForce:
    """Return the `drift` policy of the model, from the code locations that `project`'s workspace.yaml names.

    It is read from their `defs.yaml` files; a model that is in none of them has the defaults. Raises InvalidInputError
    if the model's policy is invalid, and if no readable file has the model but some file cannot be read.
    """
    from pydantic import ValidationError

    from mlops_dagster.monitoring import DriftPolicy

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
                return InForce(DriftPolicy.model_validate(attributes.get("drift") or {}), origin)
            except ValidationError as error:
                raise InvalidInputError(f"{origin} has no drift policy: {fields_of(error)}; mend that") from error
    if unreadable is not None:
        raise unreadable
    return InForce(DriftPolicy(), "the defaults")


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
