"""The floor of a champion's headline measure: the look at it, its alert, and the action that it asks for."""

from collections.abc import Collection
from dataclasses import asdict, dataclass
from datetime import date, datetime

from mlops_dagster.alerting import Reading, Rule, Severity
from mlops_dagster.loop.judging.findings import FORGOTTEN_AFTER, PERFORMANCE
from mlops_dagster.loop.spec import ModelSpec
from mlops_dagster.monitoring import PerformancePolicy
from mlops_dagster.reports import DAY
from mlops_dagster.retraining.signals import Numbers, PerformanceSignal
from mlops_dagster.rollout.floor.floor import FloorOutcome, under_floor
from mlops_dagster.rollout.floor.look import FloorLook, look_at_floor
from mlops_dagster.rollout.floor.matured import day_begins
from mlops_dagster.stores import Stores


def hold_to_floor(stores: Stores, spec: ModelSpec, matured: Collection[date], until: datetime) -> FloorLook | None:
    """Test the current champion against the floor, by its answers of the `matured` days before `until`."""
    if stores.champion(spec.model) is None:
        return None
    return look_at_floor(
        stores.registry, stores.log, spec.model, spec.performance, spec.rollout, matured=matured, until=until
    )


def tell_of_floor(stores: Stores, spec: ModelSpec, look: FloorLook | None) -> None:
    """Open, update or resolve the alert `headline`; if nothing can be told, it stays unchanged."""
    if look is None:
        return
    decision = look.decision
    if decision.outcome is FloorOutcome.FINE:
        stores.alerts.resolve(spec.model, Rule.HEADLINE, f"{look.champion}: {decision.reason}")
    elif decision.under_alert:
        stores.alerts.report(
            spec.model,
            Rule.HEADLINE,
            Severity.CRITICAL if under_floor(spec.performance, look.headline) else Severity.WARNING,
            f"{look.champion}: {decision.reason}",
            version=look.champion,
            reading=_reading(spec, look),
            since=day_begins(look.days[0]) if look.days else None,
            done=floor_action(look),
            evidence=asdict(look.headline),
        )


def _reading(spec: ModelSpec, look: FloorLook) -> Reading | None:
    found = look.headline
    if found.value is None:
        return None
    low, high = found.interval or (None, None)
    below = under_floor(spec.performance, found)
    limit = spec.performance.floor if below else spec.performance.alert
    return Reading(found.value, low, high, found.rows, limit, counted="labels", window=len(look.days) * DAY)


def floor_action(look: FloorLook) -> str:
    """Return the action that follows from a look, as a sentence; empty if none does."""
    done = {
        FloorOutcome.ROLL_BACK: f"a rollback to {look.decision.to} is started",
        FloorOutcome.RETRAIN: "a retraining is started as soon as cool-down, budget and rollout allow",
    }
    return done.get(look.decision.outcome, "")


@dataclass(frozen=True, slots=True)
class FloorSignal:
    """The part of a daily report on the floor that asks for an action, or does not."""

    outcome: FloorOutcome
    reason: str
    champion: str
    to: str
    numbers: Numbers

    @classmethod
    def of(cls, look: FloorLook, floor: float) -> "FloorSignal":
        """Return the signal of a look; the numbers are texts, with the limit `floor`."""
        low, high = look.headline.interval or (None, None)
        known = {
            look.headline.measure: look.headline.value,
            "low": low,
            "high": high,
            "rows": look.headline.rows,
            "limit": floor,
        }
        numbers = {name: f"{value:.4g}" for name, value in known.items() if value is not None}
        return cls(look.decision.outcome, look.decision.reason, look.champion, look.decision.to, numbers)

    def asks_for_retraining(self, champion: str) -> PerformanceSignal | None:
        """Return why this champion must be replaced by a new version, if no former champion does better; else None."""
        if self.champion != champion or self.outcome is not FloorOutcome.RETRAIN:
            return None
        return PerformanceSignal(self.reason, self.numbers)


def latest_floor(stores: Stores, model: str, limits: PerformancePolicy, now: datetime) -> FloorSignal | None:
    """Return what the latest daily report found; None if there is none of the last days, or none of a champion."""
    found = stores.reports.recent(PERFORMANCE, model, now, within=FORGOTTEN_AFTER)
    look = None if found is None else found.content.floor
    return None if look is None else FloorSignal.of(look, limits.floor)


@dataclass(frozen=True, slots=True)
class FloorRollback:
    """The decision on a rollback because of the floor: from `bad` to `to` if `roll_back`, with the reason."""

    roll_back: bool
    reason: str
    bad: str = ""
    to: str = ""


def apply_floor(stores: Stores, spec: ModelSpec) -> FloorRollback:
    """Decide whether the latest daily report asks for a rollback of the present champion."""
    signal = latest_floor(stores, spec.model, spec.performance, stores.clock.now())
    if signal is None:
        return FloorRollback(False, "no report of the last days says anything about the champion")
    if signal.outcome is not FloorOutcome.ROLL_BACK:
        return FloorRollback(False, f"{signal.outcome}: {signal.reason}")
    champion = stores.champion(spec.model)
    if champion is None or champion.version != signal.champion:
        return FloorRollback(False, f"{signal.champion} is no longer champion")
    return FloorRollback(True, signal.reason, bad=signal.champion, to=signal.to)
