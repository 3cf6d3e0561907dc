"""The macro-F1 floor in Dagster: the check on the daily report, and the sensor that starts a rollback."""

from collections.abc import Collection
from dataclasses import asdict, dataclass
from datetime import date, datetime

import dagster as dg

from mlops_dagster.alerting import Rule, Severity
from mlops_dagster.components.jobs.rollout_runs import Rollback
from mlops_dagster.components.platform import Platform
from mlops_dagster.components.spec import ModelSpec
from mlops_dagster.components.views.tables import Metadata
from mlops_dagster.loop.findings import FORGOTTEN_AFTER, PERFORMANCE
from mlops_dagster.retraining.signals import Numbers, PerformanceSignal
from mlops_dagster.rollout.floor.floor import FloorOutcome, under_floor
from mlops_dagster.rollout.floor.look import FloorLook, look_at_floor
from mlops_dagster.stores import Stores

CHECK = "macro_f1"


def macro_f1_check_spec(spec: ModelSpec) -> dg.AssetCheckSpec:
    """Return the check `macro_f1` on the daily report."""
    return dg.AssetCheckSpec(
        CHECK,
        asset=spec.key("performance_report"),
        description=f"Macro-F1 of the champion over the last {spec.performance.window_days} days whose labels are "
        f"complete: WARN under {spec.performance.alert:g}, ERROR under the floor of {spec.performance.floor:g}.",
    )


def hold_to_floor(stores: Stores, spec: ModelSpec, matured: Collection[date], until: datetime) -> FloorLook | None:
    """Test the current champion against the floor, by its answers of the `matured` days before `until`."""
    if stores.champion(spec.model) is None:
        return None
    return look_at_floor(
        stores.registry, stores.log, spec.model, spec.performance, spec.rollout, matured=matured, until=until
    )


def tell_of_floor(stores: Stores, spec: ModelSpec, look: FloorLook | None, log: dg.DagsterLogManager) -> None:
    """Open, update or resolve the alert `macro_f1`; if nothing can be told, it stays unchanged."""
    if look is None:
        return
    decision = look.decision
    if decision.outcome is FloorOutcome.FINE:
        stores.alerts.resolve(spec.model, Rule.MACRO_F1, f"{look.champion}: {decision.reason}")
    elif decision.under_alert:
        log.warning(f"{spec.model} {look.champion}: {decision.reason}")
        stores.alerts.report(
            spec.model,
            Rule.MACRO_F1,
            Severity.CRITICAL if under_floor(spec.performance, look.macro_f1) else Severity.WARNING,
            f"{look.champion}: {decision.reason}",
            done=_done(look),
            evidence=asdict(look.macro_f1),
        )


def macro_f1_check(spec: ModelSpec, look: FloorLook | None) -> dg.AssetCheckResult:
    """Return the result of the look as the check; without enough labels it passes and says that it cannot tell."""
    if look is None:
        return dg.AssetCheckResult(
            check_name=CHECK,
            passed=True,
            description="cannot tell: the model has no champion",
            metadata={"floor": "inconclusive", "rows": 0},
        )
    below = under_floor(spec.performance, look.macro_f1)
    return dg.AssetCheckResult(
        check_name=CHECK,
        passed=not look.decision.under_alert,
        severity=dg.AssetCheckSeverity.ERROR if below else dg.AssetCheckSeverity.WARN,
        description="; ".join(filter(None, [f"{look.champion}: {look.decision.reason}", _done(look)])),
        metadata={**floor_metadata(spec, look), "macro_f1_limits": _limits_in_words(spec)},
    )


def _done(look: FloorLook) -> str:
    done = {
        FloorOutcome.ROLL_BACK: f"a rollback to {look.decision.to} is started",
        FloorOutcome.RETRAIN: "a retraining is started as soon as cool-down, budget and rollout allow",
    }
    return done.get(look.decision.outcome, "")


def _limits_in_words(spec: ModelSpec) -> str:
    limits = spec.performance  # a check hides JSON behind a click
    return f"alert under {limits.alert:g}, floor {limits.floor:g}, by {limits.min_labels:g} labels or more"


def floor_in_words(look: FloorLook | None) -> Metadata:
    """Return the decision about the macro-F1 floor as a sentence for the report; empty without a champion."""
    if look is None:
        return {}
    return {"macro_f1_floor": f"{look.decision.outcome.value.replace('_', ' ')}: {look.decision.reason}"}


def floor_metadata(spec: ModelSpec, look: FloorLook | None) -> Metadata:
    """Return macro-F1, its limits and the action to take, for report and check; the sensors read them."""
    if look is None:
        return {}
    found, interval = look.macro_f1, look.macro_f1.interval
    shown: Metadata = {
        "floor": look.decision.outcome.value,
        "floor_reason": look.decision.reason,
        "floor_champion": look.champion,
        "floor_to": look.decision.to,
        "floor_until": look.until.isoformat(),
        "floor_days": ", ".join(day.isoformat() for day in look.days),
        "macro_f1_rows": found.rows,
        "macro_f1_limits": dg.MetadataValue.json(
            {
                "min_labels": spec.performance.min_labels,
                "alert": spec.performance.alert,
                "floor": spec.performance.floor,
            }
        ),
    }
    if found.value is not None:
        shown["macro_f1"] = round(found.value, 4)
    if interval is not None:
        shown |= {"macro_f1_low": round(interval[0], 4), "macro_f1_high": round(interval[1], 4)}
    if look.previous is not None:
        shown["floor_comparison"] = dg.MetadataValue.md(look.previous.to_markdown())
    return shown


@dataclass(frozen=True, slots=True)
class FloorSignal:
    """The part of the latest daily report that the sensors need."""

    outcome: FloorOutcome
    reason: str
    champion: str
    to: str
    numbers: Numbers


def latest_floor(stores: Stores, spec: ModelSpec, now: datetime) -> FloorSignal | None:
    """Return what the latest daily report found; None if there is none of the last days, or none of a champion."""
    found = stores.reports.recent(PERFORMANCE, spec.model, now, within=FORGOTTEN_AFTER)
    look = None if found is None else found.content.floor
    if look is None:
        return None
    decision = look.decision
    return FloorSignal(
        decision.outcome, decision.reason, look.champion, decision.to, _numbers(look, spec.performance.floor)
    )


def _numbers(look: FloorLook, floor: float) -> Numbers:
    """Return what a retraining shows of the report, as text."""
    low, high = look.macro_f1.interval or (None, None)
    known = {"macro_f1": look.macro_f1.value, "low": low, "high": high, "rows": look.macro_f1.rows, "limit": floor}
    return {name: f"{value:.4g}" for name, value in known.items() if value is not None}


def reason_to_retrain(stores: Stores, spec: ModelSpec, champion: str, now: datetime) -> PerformanceSignal | None:
    """Return why the champion must be replaced by a new version, if no former champion does better; else None."""
    signal = latest_floor(stores, spec, now)
    if signal is None or signal.champion != champion or signal.outcome is not FloorOutcome.RETRAIN:
        return None
    return PerformanceSignal(signal.reason, signal.numbers)


def macro_f1_floor_sensor(spec: ModelSpec) -> dg.SensorDefinition:
    """Return the sensor `macro_f1_floor`."""
    job_name = f"{spec.prefix}_rollback"

    @dg.sensor(
        name=f"{spec.prefix}_macro_f1_floor",
        job_name=job_name,
        minimum_interval_seconds=60,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Starts the rollback job when the daily report finds the champion under the macro-F1 floor and "
        "the one before it proven better on the same labels. Otherwise the retraining sensor acts on the report.",
    )
    def macro_f1_floor(context: dg.SensorEvaluationContext, platform: Platform) -> dg.RunRequest | dg.SkipReason:
        now = platform.clock().now()
        stores = platform.stores()
        signal = latest_floor(stores, spec, now)
        if signal is None:
            return dg.SkipReason("no report of the last days says anything about the champion")
        if signal.outcome is not FloorOutcome.ROLL_BACK:
            return dg.SkipReason(f"{signal.outcome}: {signal.reason}")
        champion = stores.champion(spec.model)
        if champion is None or champion.version != signal.champion:
            return dg.SkipReason(f"{signal.champion} is no longer champion")
        config = Rollback(reason=signal.reason, to=signal.to, bad=signal.champion)
        # Repeated every hour until the bad version is gone: since it is named, a second run changes nothing.
        return dg.RunRequest(
            run_key=f"floor-{signal.champion}-{now:%Y-%m-%d-%H}",
            run_config=dg.RunConfig(ops={f"{spec.prefix}_withdrawal": config}),
            tags={"mlops/trigger": "macro_f1_floor"},
        )

    return macro_f1_floor
