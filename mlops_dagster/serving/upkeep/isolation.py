"""Isolation of models from each other: a failure for one model must not stop the work for the others."""

from collections.abc import Callable, Iterable
from typing import TypeVar

from mlops_dagster.errors import StorageError

Subject = TypeVar("Subject")


def for_each(subjects: Iterable[Subject], work: Callable[[Subject], object]) -> list[Exception]:
    """Do `work` for each subject, a model or a thing of a model, and return the errors of those for which it failed.

    Raises StorageError at once: a store that is away is away for all of them.

    >>> [type(error).__name__ for error in for_each(["a", "b", "c"], {"a": 1, "c": 3}.__getitem__)]
    ['KeyError']
    """
    failures: list[Exception] = []
    for subject in subjects:
        try:
            work(subject)
        except StorageError:
            raise
        except Exception as error:
            failures.append(error)
    return failures
