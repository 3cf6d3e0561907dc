"""The observation of rules that have lacked numbers for long."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from mlops_dagster.alerting.judging import Seen, Watch


def lacking(watches: Iterable[Watch], stale: timedelta, now: datetime) -> Seen:
    """Return the number of rules that could not be judged for `stale` or longer, and their names with the reasons."""
    found = [each for each in watches if each.missing_since is not None and now - each.missing_since >= stale]
    said = "; ".join(f"{each.rule}: {each.missing}" for each in sorted(found, key=lambda each: each.rule))
    return Seen(None, float(len(found)), said=said)
