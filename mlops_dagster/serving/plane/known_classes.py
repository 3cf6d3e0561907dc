"""Which labels can be true of a model: a label that is no class of it is a mistake of its sender, and no evidence."""

from collections.abc import Collection, Sequence

from mlops_dagster.errors import InvalidLabelsError
from mlops_dagster.serving.deployed.registry_cache import RegistryCache
from mlops_dagster.serving.protocol.tensors import shown

_SHOWN = 10


class KnownClasses:
    """The classes of all versions that any worker here ever loaded: a label may be of an answer of each of them.

    May be asked from any thread.
    """

    def __init__(self, last_known: RegistryCache) -> None:
        self._last_known = last_known
        self._by_version: dict[tuple[str, str], frozenset[str]] = {}

    def of(self, model: str) -> frozenset[str]:
        """Every class of a model, none if no version of it was loaded yet. Raises StorageError."""
        classes = (self._of_version(model, version) for version in self._last_known.versions(model))
        return frozenset().union(*classes)

    def _of_version(self, model: str, version: str) -> frozenset[str]:
        """A version never changes its schema, so each is read once."""
        key = (model, version)
        if key not in self._by_version:
            noted = self._last_known.version(model, version)
            schema = noted.schema if noted is not None else None
            self._by_version[key] = frozenset(schema.classes if schema is not None else ())
        return self._by_version[key]


def check_labels(model: str, labels: Sequence[str], classes: Collection[str]) -> None:
    """Raise InvalidLabelsError if any of the labels of a batch is no class; with no class known, all are taken."""
    wrong = [label for label in labels if label not in classes]
    if not classes or not wrong:
        return
    raise InvalidLabelsError(
        f"{len(wrong)} of {len(labels)} labels are no class of {model!r}: {_some(dict.fromkeys(wrong))}; "
        f"its classes are {_some(sorted(classes))}; nothing of this batch is recorded: mend it and send it again",
        len(wrong),
    )


def _some(names: Collection[str]) -> str:
    """The first ten, each short and without control characters, and how many more there are.

    >>> _some(["late", "a\\0b"])
    "'late', 'a\\\\x00b'"
    >>> _some([str(number) for number in range(12)])
    "'0', '1', '2', '3', '4', '5', '6', '7', '8', '9' and 2 more"
    """
    told = ", ".join(shown(name) for name in list(names)[:_SHOWN])
    return f"{told} and {len(names) - _SHOWN} more" if len(names) > _SHOWN else told
