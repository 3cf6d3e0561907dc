"""Beats of the housekeeper's duties: each duty that has succeeded since its last beat gets the next one."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import TypeAlias

from mlops_dagster.serving.upkeep.periodic import PeriodicTask
from mlops_dagster.stores import Stores

TasksOf: TypeAlias = Callable[[], Sequence[PeriodicTask]]
"""Returns the tasks that a duty consists of, as they are now."""


class DutyBeats:
    """The writer of the beats of some duties; `every` is the time within which all tasks of each are to succeed again.

    The beats are those of the whole fleet: any machine whose duty works keeps the beat fresh. That one machine's duty
    has stopped is told by the metrics of that machine.
    """

    def __init__(self, stores: Stores, duties: Mapping[str, TasksOf], every: timedelta) -> None:
        self._stores, self._duties, self._every = stores, duties, every
        self._told = defaultdict[PeriodicTask, int](int)

    def tell(self) -> None:
        """Write a beat for each duty whose tasks have all succeeded since its last beat. Raises StorageError."""
        for name, tasks_of in self._duties.items():
            successes = {task: task.successes for task in tasks_of()}
            if all(count > self._told[task] for task, count in successes.items()):
                self._stores.beats.beat(name, self._every)
                self._told |= successes
