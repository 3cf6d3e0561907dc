"""What fails for one model, and is to stop no other."""

from collections.abc import Callable, Iterable
from typing import TypeVar

from mlops_dagster.errors import StorageError

Subject = TypeVar("Subject")


def for_each(subjects: Iterable[Subject], work: Callable[[Subject], object]) -> list[Exception]:
    """Do `work` for each model, or whatever belongs to one, and return the errors of those it failed for.

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
