"""The tasks of models: a label outside the truths of its model is a mistake of its sender, and not evidence."""

from collections.abc import Collection, Sequence

from mlops_dagster.errors import InvalidLabelsError
from mlops_dagster.serving.deployed.registry_cache import RegistryCache
from mlops_dagster.serving.protocol.tensors import shown
from mlops_dagster.tasks import Task, joined

_SHOWN = 10


class KnownTasks:
    """The tasks of all versions that any worker of this home ever loaded: labels may be for answers of any of them.

    Its methods may be called from any thread.
    """

    def __init__(self, last_known: RegistryCache) -> None:
        self._last_known = last_known
        self._by_version: dict[tuple[str, str], Task | None] = {}

    def of(self, model: str) -> Task | None:
        """Return the task with the truths of all versions; None if none was loaded yet. Raises StorageError."""
        found = (self.of_version(model, version) for version in self._last_known.versions(model))
        return joined(task for task in found if task is not None)

    def of_version(self, model: str, version: str) -> Task | None:
        """Return the task of a version, read once, as a version never changes its schema; None if it is not known."""
        key = (model, version)
        if self._by_version.get(key) is None:
            noted = self._last_known.version(model, version)
            self._by_version[key] = None if noted is None or noted.schema is None else noted.schema.task
        return self._by_version[key]


def check_labels(model: str, labels: Sequence[str], task: Task | None) -> None:
    """Raise InvalidLabelsError if a label of a batch is not among the truths of `task`; without one, take all."""
    if task is None:
        return
    known = task.accepted(set(labels))
    wrong = [label for label in labels if label not in known]
    if not wrong:
        return
    listed = f"; its classes are {_some(sorted(task.truths))}" if task.truths else ""
    raise InvalidLabelsError(
        f"{len(wrong)} of {len(labels)} labels are not classes of {model!r}: {_some(dict.fromkeys(wrong))}{listed}; "
        "nothing of this batch is recorded: mend it and send it again",
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
