"""The watch over the rules: is anyone looking?"""

from datetime import timedelta
from typing import Final, Literal

from mlops_dagster.alerting import FLEET, Beat, Rule
from mlops_dagster.alerting.silent import SILENT_AFTER, silent
from mlops_dagster.board.snapshot.entities import Watching
from mlops_dagster.board.snapshot.view import View
from mlops_dagster.loop.retraining.in_turn import BEAT
from mlops_dagster.loop.watching.watchers import LOOK

_LATE_AFTER: Final = timedelta(minutes=1)


def watching(view: View) -> Watching:
    """Return when all rules were looked at last, and which watchers are silent."""
    if view.past:
        told = [alert.summary for alert in view.alerts if alert.model == FLEET and alert.rule == Rule.WATCHER_SILENT]
        return Watching("unknown", None, None, None, tuple(told))
    beats = view.stores.beats.list()
    last = next((beat.at for beat in beats if beat.name == LOOK), None)
    age = None if last is None else max(view.at - last, timedelta(0))
    return Watching(
        level=_level(age),
        last_look=last,
        seconds=None if age is None else age.total_seconds(),
        rules=view.stores.watches.count(),
        silent=tuple(map(_said, silent(beats, view.at))),
        retrainings=next((beat.note for beat in beats if beat.name == BEAT), ""),
    )


def _level(age: timedelta | None) -> Literal["well", "late", "silent"]:
    """Return how the watch is, by the age of its last look.

    >>> [_level(age) for age in (timedelta(seconds=30), timedelta(minutes=2), timedelta(hours=1), None)]
    ['well', 'late', 'silent', 'silent']
    """
    if age is None or age > SILENT_AFTER:
        return "silent"
    return "late" if age > _LATE_AFTER else "well"


def _said(beat: Beat) -> str:
    return f"{' '.join(filter(None, (beat.name, beat.model)))} gives no sign of life since {beat.at:%Y-%m-%d %H:%M} UTC"
