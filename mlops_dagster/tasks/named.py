"""The kinds of tasks by name, and the task that a schema names."""

from collections.abc import Iterable, Mapping
from typing import Final

from mlops_dagster.tasks.classification import Classification
from mlops_dagster.tasks.task import Task

DEFAULT_KIND: Final = "classification"
"""The kind of a task that does not name it."""

UNKNOWN_TASK: Final[Task] = Classification.model_construct(classes=())
"""The task of a version that was registered without a schema: a classification, in which every label is a class."""

TASKS: dict[str, type[Task]] = {DEFAULT_KIND: Classification}
"""Every kind of task by its name."""


def task_of_kind(kind: str) -> type[Task]:
    """Return the class of a kind of task; raises ValueError, which names the known ones.

    >>> task_of_kind("clustering")
    Traceback (most recent call last):
        ...
    ValueError: there is no task 'clustering'; known tasks: classification
    """
    if kind not in TASKS:
        raise ValueError(f"there is no task {kind!r}; known tasks: {', '.join(sorted(TASKS))}")
    return TASKS[kind]


def task_of_schema(content: object, context: object = None) -> Task:
    """Return the task in a schema, given as a task or as its fields; without a `kind` it is a classification.

    Raises ValueError.

    >>> task_of_schema({"classes": ["on_time", "late"]})
    Classification(kind='classification', classes=('on_time', 'late'))
    """
    if isinstance(content, Task):
        return content
    if not isinstance(content, Mapping):
        raise ValueError(f"a task is given by its kind and its fields, got {content!r}")
    kind = content.get("kind", DEFAULT_KIND)
    if not isinstance(kind, str):
        raise ValueError(f"the kind of a task is a text, got {kind!r}")
    return task_of_kind(kind).model_validate(content, context=context)


def joined(tasks: Iterable[Task]) -> Task | None:
    """Return the task whose truths are those of all tasks of a model's versions; None without any.

    >>> joined([Classification(classes=("a", "b")), Classification(classes=("b", "c"))]).truths
    ('a', 'b', 'c')
    """
    found: Task | None = None
    for task in tasks:
        found = task if found is None else found.joined(task)
    return found
