"""The macro-F1 floor as Dagster shows it: the check on the daily report."""

import dagster as dg

from mlops_dagster.components.keys import key_of
from mlops_dagster.components.views.tables import shown
from mlops_dagster.loop.apply_floor import floor_action
from mlops_dagster.loop.shown.champion import floor_entries
from mlops_dagster.loop.spec import ModelSpec
from mlops_dagster.rollout.floor.floor import under_floor
from mlops_dagster.rollout.floor.look import FloorLook

CHECK = "macro_f1"


def macro_f1_check_spec(spec: ModelSpec) -> dg.AssetCheckSpec:
    """Return the check `macro_f1` on the daily report."""
    return dg.AssetCheckSpec(
        CHECK,
        asset=key_of(spec, "performance_report"),
        description=f"Macro-F1 of the champion over the last {spec.performance.window_days} days whose labels are "
        f"complete: WARN under {spec.performance.alert:g}, ERROR under the floor of {spec.performance.floor:g}.",
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
        description="; ".join(filter(None, [f"{look.champion}: {look.decision.reason}", floor_action(look)])),
        metadata=shown({**floor_entries(spec, look), "macro_f1_limits": _limits_in_words(spec)}),
    )


def _limits_in_words(spec: ModelSpec) -> str:
    limits = spec.performance  # a check hides JSON behind a click
    return f"alert under {limits.alert:g}, floor {limits.floor:g}, by {limits.min_labels:g} labels or more"
