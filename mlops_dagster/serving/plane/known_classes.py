"""The classes of models: a label that is not a class of its model is a mistake of its sender, and not evidence."""

from collections.abc import Collection, Sequence

from mlops_dagster.errors import InvalidLabelsError
from mlops_dagster.serving.deployed.registry_cache import RegistryCache
from mlops_dagster.serving.protocol.tensors import shown

_SHOWN = 10


class KnownClasses:
    """The classes of all versions that any worker of this home ever loaded: labels may be for answers of any of them.

    Its methods may be called from any thread.
    """

    def __init__(self, last_known: RegistryCache) -> None:
        self._last_known = last_known
        self._by_version: dict[tuple[str, str], frozenset[str]] = {}

    def of(self, model: str) -> frozenset[str]:
        """Return every class of a model; none if no version of the model was loaded yet. Raises StorageError."""
        classes = (self._of_version(model, version) for version in self._last_known.versions(model))
        return frozenset().union(*classes)

    def _of_version(self, model: str, version: str) -> frozenset[str]:
        """Return the classes of a version, which are read once, as a version never changes its schema."""
        key = (model, version)
        if key not in self._by_version:
            noted = self._last_known.version(model, version)
            schema = noted.schema if noted is not None else None
            self._by_version[key] = frozenset(schema.classes if schema is not None else ())
        return self._by_version[key]


def check_labels(model: str, labels: Sequence[str], classes: Collection[str]) -> None:
    """Raise InvalidLabelsError if a label of a batch is not among `classes`; if these are empty, take all labels."""
    wrong = [label for label in labels if label not in classes]
    if not classes or not wrong:
        return
    raise InvalidLabelsError(
        f"{len(wrong)} of {len(labels)} labels are no class of {model!r}: {_some(dict.fromkeys(wrong))}; "
        f"its classes are {_some(sorted(classes))}; nothing of this batch is recorded: mend it and send it again",
        len(wrong),
    )


def _some(names: Collection[str]) -> str:
    """Return the first ten names, each short and without control characters, and the number of the others.

    >>> _some(["late", "a\\0b"])
    "'late', 'a\\\\x00b'"
    >>> _some([str(number) for number in range(12)])
    "'0', '1', '2', '3', '4', '5', '6', '7', '8', '9' and 2 more"
    """
    told = ", ".join(shown(name) for name in list(names)[:_SHOWN])
    return f"{told} and {len(names) - _SHOWN} more" if len(names) > _SHOWN else told
