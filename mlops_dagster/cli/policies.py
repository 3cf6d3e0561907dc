"""The drift policy in force: what the model's `defs.yaml` says, which the assets of Dagster hold it to."""

from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from mlops_dagster.cli.documents import read_yaml
from mlops_dagster.errors import InvalidInputError
from mlops_dagster.readable import fields_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlops_dagster.monitoring import DriftPolicy

DEFS: Final = Path(__file__).parents[1] / "defs"


class InForce(NamedTuple):
    """A policy, and where it was found."""

    policy: "DriftPolicy"
    origin: str


def drift_policy(model: str, folder: Path | None = None) -> InForce:
    """The `drift` of the model in the `defs.yaml` files under `folder`, by default those that Dagster loads.

    The defaults for a model that none of them has. Raises InvalidInputError for a file that cannot be read.
    """
    from pydantic import ValidationError

    from mlops_dagster.monitoring import DriftPolicy

    folder = DEFS if folder is None else folder
    for path in sorted(folder.rglob("defs.yaml")):
        for attributes in _attributes(path):
            if attributes.get("model") == model:
                origin = path.relative_to(folder.parent).as_posix()
                try:
                    return InForce(DriftPolicy.model_validate(attributes.get("drift") or {}), origin)
                except ValidationError as error:
                    raise InvalidInputError(f"{origin} has no drift policy: {fields_of(error)}; mend that") from error
    return InForce(DriftPolicy(), "the defaults")


def _attributes(path: Path) -> "Iterator[dict[str, object]]":
    for document in read_yaml(path):
        if isinstance(document, dict) and isinstance(document.get("attributes"), dict):
            yield document["attributes"]
