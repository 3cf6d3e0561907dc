"""What the rollups hold about a rollout."""

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime

from mlops_dagster import predictions
from mlops_dagster.predictions import Rollups
from mlops_dagster.rollout.entities import Rollout
from mlops_dagster.rollout.evidence import EventCounts, Evidence, PairedCounts, StepCounts


@dataclass
class _Arms:
    canary: EventCounts = field(default_factory=EventCounts)
    champion: EventCounts = field(default_factory=EventCounts)


def collect(rollups: Rollups, rollout: Rollout, through: datetime) -> Evidence:
    """All evidence of a rollout from its start up to `through`.

    A row belongs to the step whose canary weight was in force when it was routed, wherever the rollout is by now.
    After the promotion challenger and champion have changed their roles; what they are called here has not changed.
    Other versions, versions asked for by name and rejected requests are no evidence.
    """
    arms: defaultdict[float, _Arms] = defaultdict(_Arms)
    shadow, champion_beside, watch = EventCounts(), EventCounts(), EventCounts()
    for row in rollups.events(rollout.model, rollout.started_at, through):
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
    trial, watched = _pairs(rollups, rollout, rollout.started_at, through)
    return Evidence(
        steps=tuple(
            StepCounts(share, arms[share].canary, arms[share].champion) for share in sorted(arms) if 0 < share < 1
        ),
        paired=trial + watched,
        shadow=shadow,
        step_paired=sum(_pairs(rollups, rollout, rollout.step_at, through), PairedCounts()),
        through=through,
        champion_beside=champion_beside,
        watch=watch,
        watch_paired=watched,
    )


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
