"""Beats of the housekeeper's duties: each duty that has succeeded since its last beat gets the next one."""

from collections.abc import Sequence
from datetime import timedelta

from mlops_dagster.alerting import Beats
from mlops_dagster.serving.upkeep.periodic import PeriodicTask


class DutyBeats:
    """The writer of the beats of some duties; `every` is the time within which each is to succeed again.

    The beats are those of the whole fleet: any machine whose duty works keeps the beat fresh. That one machine's duty
    has stopped is told by the metrics of that machine.
    """

    def __init__(self, beats: Beats, duties: Sequence[PeriodicTask], every: timedelta) -> None:
        self._beats = beats
        self._told = dict.fromkeys(duties, 0)
        self._every = every

    def tell(self) -> None:
        """Write a beat for each duty that has succeeded since its last beat. Raises StorageError."""
        for duty, told in self._told.items():
            if (successes := duty.successes) > told:
                self._beats.beat(f"duty:{duty.name}", self._every)
                self._told[duty] = successes
