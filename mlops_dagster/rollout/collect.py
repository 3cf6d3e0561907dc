"""What the rollups hold about a rollout."""

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from mlops_dagster import predictions
from mlops_dagster.predictions import Role, Rollups
from mlops_dagster.rollout.entities import Rollout
from mlops_dagster.rollout.evidence import EventCounts, Evidence, PairedCounts, RecentCounts, StepCounts

_MINUTE = timedelta(minutes=1)


@dataclass
class _Arms:
    canary: EventCounts = field(default_factory=EventCounts)
    champion: EventCounts = field(default_factory=EventCounts)


def collect(rollups: Rollups, rollout: Rollout, now: datetime, *, until: datetime | None = None) -> Evidence:
    """All evidence of a rollout from its start up to `now`, or `until` where even the clock is not to be relied on.

    A row belongs to the step whose canary weight was in force when it was routed, wherever the rollout is by now.
    After the promotion challenger and champion have changed their roles; what they are called here has not changed.
    Other versions, versions asked for by name and rejected requests are no evidence.
    """
    arms: defaultdict[float, _Arms] = defaultdict(_Arms)
    shadow, champion_beside, watch = EventCounts(), EventCounts(), EventCounts()
    until = now if until is None else until
    for row in rollups.events(rollout.model, rollout.started_at, until):
        match (row.role, row.version):
            case ("canary", rollout.challenger):
                arms[_share(row.weight)].canary += _counts(row)
            case ("champion", rollout.champion):
                arms[_share(1 - row.weight)].champion += _counts(row)
            case ("shadow" | "paired", rollout.challenger):
                shadow += _counts(row)
            case ("shadow" | "paired", rollout.champion):
                champion_beside += _counts(row)
            case ("champion", rollout.final):
                watch += _counts(row)
    trial, watched = _pairs(rollups, rollout, rollout.started_at, until)
    return Evidence(
        steps=tuple(
            StepCounts(share, arms[share].canary, arms[share].champion) for share in sorted(arms) if 0 < share < 1
        ),
        paired=trial + watched,
        shadow=shadow,
        step_paired=sum(_pairs(rollups, rollout, rollout.step_at, until), PairedCounts()),
        through=now,
        champion_beside=champion_beside,
        watch=watch,
        watch_paired=watched,
        recent=_recent(rollups, rollout, now, until),
    )


def _recent(rollups: Rollups, rollout: Rollout, now: datetime, until: datetime) -> tuple[RecentCounts, ...]:
    """Of any stretch that ends now, one of these begins in it and covers at least half of its minutes."""
    began = _minute(rollout.started_at)
    age = (_minute(now) - began) // _MINUTE
    starts = sorted(age - back for back in (0, *(2**n for n in range(age.bit_length()))) if age > back)
    scored_as: list[tuple[str, Role]] = [
        (rollout.challenger, "canary"),
        (rollout.challenger, "shadow"),
        (rollout.challenger, "paired"),
        (rollout.final, "champion"),
    ]
    counts = rollups.errors_since(rollout.model, scored_as, [began + start * _MINUTE for start in starts], until)
    return tuple(
        RecentCounts(start, seen.requests, seen.bad_errors) for start, seen in zip(starts, counts, strict=True)
    )


def _minute(at: datetime) -> datetime:
    """That it falls into, as the rollups count."""
    return at.astimezone(UTC).replace(second=0, microsecond=0)


def _share(weight: float) -> float:
    """Without the noise of 1 - (1 - weight), so that both arms meet in one step."""
    return round(weight, 9)


def _counts(row: predictions.EventCounts) -> EventCounts:
    return EventCounts(
        requests=row.requests,
        errors=row.errors,
        slow=row.slow,
        labelled=row.labelled,
        wrong=row.wrong,
        bad_errors=row.bad_errors,
        bad_slow=row.bad_slow,
        bad_wrong=row.bad_wrong,
    )


def _pairs(rollups: Rollups, rollout: Rollout, since: datetime, until: datetime) -> tuple[PairedCounts, PairedCounts]:
    """Of requests before the promotion, and after it: there the old champion is the one compared with the new."""

    def of(champion: str, challenger: str) -> PairedCounts:
        pairs = rollups.paired(rollout.model, champion, challenger, since, until)
        return PairedCounts(pairs.wins, pairs.losses, pairs.ties)

    return of(rollout.champion, rollout.challenger), of(rollout.final, rollout.champion).swapped
