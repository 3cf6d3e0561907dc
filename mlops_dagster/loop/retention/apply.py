"""The application of retention: every model's old records go from every store, and it is noted how many."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time
from typing import Final

from mlops_dagster.alerting import FLEET
from mlops_dagster.errors import FleetError, MlopsError, RefusedError, told
from mlops_dagster.loop.fleet import in_short, look_at_each
from mlops_dagster.loop.judging.findings import REPORTS
from mlops_dagster.loop.retention.old_files import remove_old
from mlops_dagster.loop.retention.plan import RetentionPlan, plan_of
from mlops_dagster.predictions import Rollups, expire
from mlops_dagster.reports import HOUR
from mlops_dagster.retention import Kind, shown_since
from mlops_dagster.stores import Stores

_REASON: Final = "retention: predictions_days"
_LABELS: Final = "labels"
"""Labels of all models are counted together."""


@dataclass(frozen=True, slots=True)
class Retained:
    """The result of a pass over all models."""

    removed: Mapping[str, Mapping[str, int]]
    """By model, the number of rows or files that went, or would go, by kind."""
    failed: Mapping[str, str]
    """By model, or "the log", why nothing or not all of it went."""

    @property
    def totals(self) -> dict[str, tuple[int, int]]:
        """For each kind, the number of models that lost some, and how much went."""
        models: Counter[str] = Counter()
        total: Counter[str] = Counter()
        for kinds in self.removed.values():
            for kind, number in kinds.items():
                models[kind] += bool(number)
                total[kind] += number
        return {kind: (models[kind], number) for kind, number in sorted(total.items()) if number}

    def check(self) -> None:
        """Raise FleetError if a model or the log kept what may go; it is tried again at the next pass."""
        if self.failed:
            raise FleetError(f"not all that is old went, it is tried again tomorrow: {in_short(self.failed)}")


def apply_retention(stores: Stores, *, model: str | None = None, dry_run: bool = False) -> Retained:
    """Remove the old records of every model, or of one, or only count them.

    A model whose policy or rollout cannot be read keeps everything; the others do not wait for it. Raises RefusedError
    where traffic is replayed, and StorageError.
    """
    if stores.settings.accept_event_time:
        raise RefusedError("MLOPS_ACCEPT_EVENT_TIME is set: what is old is unknown where traffic is replayed; unset it")
    now = _present(stores)
    every = sorted({*stores.registry.models(), *stores.rollups.models()})
    plans = look_at_each([*every, FLEET] if model is None else [model], lambda each: plan_of(stores, each, now))
    if not dry_run:
        stores.retention.raise_to({each: plan.since for each, plan in plans.found.items()})
    failed = {each: told(error) for each, error in plans.failed.items()}
    logged: Mapping[str, Mapping[str, int]] = {}
    expired = False
    try:
        logged = _expire_log(stores, list(plans.found.values()), now, dry_run=dry_run)
        expired = True
    except MlopsError as error:
        failed["the log"] = told(error)
    looks = look_at_each(plans.found, lambda each: _remove(stores, plans.found[each], expired=expired, dry_run=dry_run))
    failed |= {each: told(error) for each, error in looks.failed.items()}
    names = sorted({*looks.found, *logged})
    found = Retained({each: {**logged.get(each, {}), **looks.found.get(each, {})} for each in names}, failed)
    if not dry_run:
        stores.retention.note(now, stores.actor, found.totals)
    return found


def _present(stores: Stores) -> datetime:
    """Return the time that ages are counted from: now, or the end of recorded traffic."""
    now, end = stores.clock.now(), stores.settings.partitions_end
    return now if end is None else min(now, datetime.combine(end, time(), UTC))


def _expire_log(
    stores: Stores, plans: Sequence[RetentionPlan], now: datetime, *, dry_run: bool
) -> dict[str, dict[str, int]]:
    days = {plan.model: plan.before[Kind.PREDICTIONS].date() for plan in plans if Kind.PREDICTIONS in plan.before}
    gone = expire(stores.log, days, actor=stores.actor, reason=_REASON, at=now, dry_run=dry_run)
    return {
        model: {Kind.PREDICTIONS.value: each.predictions} if model else {_LABELS: each.labels}
        for model, each in gone.items()
    }


def _remove(stores: Stores, plan: RetentionPlan, *, expired: bool, dry_run: bool) -> dict[str, int]:
    """Remove the old records of one model but for those of the log; return how many, by kind."""
    model, before, since = plan.model, plan.before, plan.since
    removed = {
        Kind.ALERTS.value: stores.alerts.forget(
            model, resolved_before=before[Kind.ALERTS], seen_before=since[Kind.MINUTE_COUNTS], dry_run=dry_run
        )
    }
    if model == FLEET:
        return removed
    removed |= _forget_counts(stores.rollups, plan, expired=expired, dry_run=dry_run)
    shown = shown_since(since)
    assert shown is not None  # each kind has a time
    reports = stores.reports.forget(
        model,
        {each.name: before[Kind.HOUR_REPORTS if each.period == HOUR else Kind.REPORTS] for each in REPORTS.values()},
        superseded_by=shown,
        spared=plan.cited,
        dry_run=dry_run,
    )
    for each in REPORTS.values():
        kind = Kind.HOUR_REPORTS if each.period == HOUR else Kind.REPORTS
        removed[kind.value] = removed.get(kind.value, 0) + reports[each.name]
    removed[Kind.DECISIONS.value] = stores.rollouts.forget_decisions(model, before[Kind.DECISIONS], dry_run=dry_run)
    for name, kind, folders in (
        (Kind.PROFILES.value, Kind.PROFILES, [stores.profiles]),
        (Kind.PAGES.value, Kind.PAGES, [stores.report_pages, stores.data_docs]),
        ("files of rows", Kind.PREDICTIONS, [stores.quarantine, stores.batch_scores]),
    ):
        removed[name] = sum(remove_old(files, model, before[kind], dry_run=dry_run) for files in folders)
    return removed


def _forget_counts(rollups: Rollups, plan: RetentionPlan, *, expired: bool, dry_run: bool) -> dict[str, int]:
    before = plan.before
    gone = rollups.forget_old(
        plan.model,
        {
            "minute": before[Kind.MINUTE_COUNTS],
            "hour": before[Kind.HOUR_COUNTS],
            "day": before[Kind.DAY_COUNTS],
        },
        logged_since=before[Kind.PREDICTIONS] if expired else None,
        salts=plan.salts,
        dry_run=dry_run,
    )
    return {f"{unit}_counts": number for unit, number in gone.items()}
