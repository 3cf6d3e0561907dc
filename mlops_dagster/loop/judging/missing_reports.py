"""The reports of a fleet that are missing, and the runs that are to make them."""

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from mlops_dagster.loop.judging.catching_up import (
    LONGEST_CATCH_UP,
    Asset,
    Attempt,
    Stretch,
    complete_periods,
    plan,
    tried,
)
from mlops_dagster.reports import ReportKind
from mlops_dagster.stores import Stores

_DAY: Final = timedelta(days=1)
HORIZON: Final = LONGEST_CATCH_UP
"""A period that was over for so long is not asked for any more: reports, and the orchestrator's history, may go."""


class Reported(NamedTuple):
    """An asset that is to be made for every period from the first prediction of its model on."""

    model: str
    kind: ReportKind[Any] | None
    """The report that each of its periods has once it is made, even if the orchestrator has forgotten it; or None."""


@dataclass(frozen=True, slots=True)
class Calendar:
    """The complete periods of a rhythm, each `every` long, from `first` to `until`, and the format of their names."""

    first: datetime
    every: timedelta
    until: datetime
    format: str

    def name(self, start: datetime) -> str:
        """Return the name of the period that begins at a time."""
        return f"{start:{self.format}}"

    def is_newest(self, name: str) -> bool:
        """Return whether a name is that of the last period that is complete."""
        return name == self.name(self.first + ((self.until - self.first) // self.every - 1) * self.every)


def missing_reports(
    stores: Stores,
    assets: Mapping[Asset, Reported],
    calendar: Calendar,
    *,
    made_of: Callable[[Asset], Collection[str]],
    under_way: Iterable[Attempt[Asset]],
    in_vain: Iterable[Attempt[Asset]],
    again: Mapping[Asset, Collection[str]],
) -> list[Stretch[Asset]] | str:
    """Return the stretches to run now, or the reason why there is none.

    An asset whose model has no prediction yet is not made, nor are periods that a run is for, or that were over for 31
    days; a report on a day or a week is made for as long as its labels are awaited.

    Args:
        stores: the stores.
        assets: the assets.
        calendar: the periods.
        made_of: the periods for which an asset without reports was made.
        under_way: the runs that have not ended.
        in_vain: the runs that have failed.
        again: the periods that an asset makes once more.
    """
    first_at = {model: stores.rollups.first_at(model) for model in {each.model for each in assets.values()}}
    firsts = {key: first for key, each in assets.items() if (first := first_at[each.model]) is not None}
    if not firsts:
        return "no predictions yet"

    starts = complete_periods(calendar.first, calendar.every, min(firsts.values()), calendar.until)
    names = [calendar.name(start) for start in starts]

    def over_for(length: timedelta) -> set[str]:
        return set(names[: bisect_right(starts, calendar.until - length - calendar.every)])

    def made(asset: Asset) -> Collection[str]:
        model, kind = assets[asset]
        if kind is None:
            return over_for(HORIZON).union(made_of(asset))
        reports = stores.reports.made(kind, model, calendar.first, calendar.until)
        # Labels may still come to a day or a week that is older; its report is kept for longer than that.
        awaited = timedelta(days=stores.settings.label_days) if calendar.every >= _DAY else HORIZON
        return over_for(max(HORIZON, awaited)).union(map(calendar.name, reports))

    being_made = set(tried(under_way, names))
    asked = plan(
        names,
        wanted={
            asset: [
                name
                for name in names[bisect_right(starts, first - calendar.every) :]
                if (asset, name) not in being_made
            ]
            for asset, first in firsts.items()
        },
        made={asset: made(asset) for asset in firsts},
        failures=Counter(tried(in_vain, names)),
        again=again,
    )
    return asked or ("nothing is missing that is not being made" if being_made else "nothing is missing")
