"""The decision whether the validation of the last hours puts a model's online serving on hold."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Literal, NamedTuple

from mlops_dagster.documents.texts import counted
from mlops_dagster.monitoring.validation.expectations.suite import ValidationPolicy
from mlops_dagster.monitoring.validation.validate import ValidationResult
from mlops_dagster.registry import Deployment, ModelRegistry

FRESH = timedelta(hours=3)
"""An hour that began longer ago than this does not count as the present: it is caught up on, or validated again."""


class HoldDecision(NamedTuple):
    """The action to take on the hold, and its reason."""

    action: Literal["hold", "release", "leave"]
    reason: str


def should_hold(policy: ValidationPolicy, results: Mapping[datetime, ValidationResult], now: datetime) -> HoldDecision:
    """Decide on the hold by the newest validated hour; `results` are by the beginning of the hour, in UTC.

    An hour without rows, or without an expectation that applies, is not evidence: it neither holds a model nor releases
    it. An hour whose shares are over their limits, even if chance may explain them, does not release it either: two bad
    rows of three are not a recovery.

    >>> from datetime import UTC
    >>> noon = datetime(2013, 3, 1, 12, tzinfo=UTC)
    >>> failed = {noon: ValidationResult(rows=37, failures=("temp: 20 of 37 outside -10 to 120",))}
    >>> should_hold(ValidationPolicy(hold=True), failed, noon + timedelta(hours=1))[0]
    'hold'
    """
    if not policy.hold:
        return HoldDecision("leave", "validation holds nothing, by its policy")
    told = {hour: its for hour, its in results.items() if (its.passed or its.failures) and now - hour <= FRESH}
    if not told:
        return HoldDecision("leave", f"no hour of the last {FRESH / timedelta(hours=1):g} h has rows to judge")
    hour = max(told)
    which = f"the hour {hour:%Y-%m-%d %H:00} UTC"
    if told[hour].doubts and told[hour].passed:
        return HoldDecision("leave", f"validation: {which} is in doubt: {'; '.join(told[hour].doubts)}")
    if told[hour].passed:
        return HoldDecision("release", f"validation: {which} passed, with {counted(told[hour].rows, 'rows')}")
    return HoldDecision("hold", f"validation: {which} failed: {'; '.join(told[hour].failures)}")


def enact_hold(registry: ModelRegistry, model: str, decision: HoldDecision) -> Deployment:
    """Apply the decision; if it is applied already, nothing changes. Raises ModelNotFoundError."""
    if decision.action == "hold":
        return registry.hold(model, decision.reason, automatic=True)
    if decision.action == "release":
        return registry.release(model, decision.reason, automatic=True)
    return registry.deployment(model)
