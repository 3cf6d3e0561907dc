"""The plan of a rehearsal: a scenario completed from its data and its project."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from mlops_dagster.clock import in_utc
from mlops_dagster.components import ModelSpec
from mlops_dagster.errors import InvalidInputError, TrainingDataError
from mlops_dagster.rehearsal.scenario import Scenario
from mlops_dagster.rehearsal.traffic.history import History
from mlops_dagster.rehearsal.traffic.traffic import HOUR, Hour, hours
from mlops_dagster.retraining.trainer import load_trainer, read_training_set

DAY = timedelta(days=1)
LOOKS_IN_A_ROLLOUT = 6
"""The least deadline of a rollout, in hours: a shadow and five steps take this many looks, at one look an hour."""


@dataclass(frozen=True, eq=False)
class Plan:
    """One model, its history, and the full hours [start, until) of it that are played."""

    spec: ModelSpec
    history: History
    start: datetime
    until: datetime
    notes: tuple[str, ...] = ()
    """Facts that a person should know before the rehearsal begins."""

    @property
    def model(self) -> str:
        return self.spec.model

    @property
    def prefix(self) -> str:
        return self.spec.prefix

    @property
    def days(self) -> float:
        return (self.until - self.start) / DAY

    @property
    def trained_from(self) -> datetime:
        """The beginning of the first version's training window."""
        return self.start - self.spec.training.window_days * DAY

    @property
    def reported(self) -> tuple[date, date]:
        """First day of the partitions and the day after the last: whole weeks, from the first training window on."""
        return (self.trained_from - self.trained_from.weekday() * DAY).date(), (self.until + 7 * DAY).date()

    def hours(self) -> list[Hour]:
        """Return every hour that is played, with its requests."""
        return hours(self.history, load_trainer(self.spec.trainer).SCHEMA, self.start, self.until)


def make_plan(scenario: Scenario, spec: ModelSpec, history: History) -> Plan:
    """Complete a scenario from the history and the model. Raises InvalidInputError if there is nothing to play."""
    start = history.first.replace(hour=0, minute=0, second=0, microsecond=0)
    start = start if scenario.start is None else in_utc(scenario.start)
    until = history.last.replace(minute=0, second=0, microsecond=0) + HOUR
    until = until if scenario.until is None else in_utc(scenario.until)
    if not len(history.between(start, until)):
        raise InvalidInputError(
            f"no request from {start:%Y-%m-%d %H:%M} to {until:%Y-%m-%d %H:%M} UTC; the history has those of "
            f"{history.first:%Y-%m-%d %H:%M} to {history.last:%Y-%m-%d %H:%M}"
        )
    plan = Plan(spec, history, start, until)
    return Plan(spec, history, start, until, (*history.notes, *_notes(plan)))


def check_training_data(plan: Plan) -> None:
    """Raise TrainingDataError unless the trainer has rows from before the traffic to fit the first version on."""
    training = plan.spec.training
    fitted_until = plan.start - training.evaluation_days * DAY
    later = plan.history.first + training.window_days * DAY
    way = "let `training_set` reach further back"
    if later < plan.until:
        way += f", or begin the traffic later: --start {later + DAY:%Y-%m-%d}"
    lacks = (
        f"{plan.spec.trainer} has no rows of {plan.trained_from:%Y-%m-%d %H:%M} to {fitted_until:%Y-%m-%d %H:%M} UTC, "
        f"which the first version is fitted on (the {training.window_days} days before the traffic, without the "
        f"{training.evaluation_days} that it is judged on)"
    )
    try:
        rows = read_training_set(plan.spec.trainer, plan.trained_from, plan.start)
    except TrainingDataError as error:
        raise TrainingDataError(f"{lacks}: {error}; {way}") from error
    if rows.empty or not (rows["event_time"] < fitted_until).any():
        raise TrainingDataError(f"{lacks}; {way}")


def _notes(plan: Plan) -> Iterator[str]:
    """Yield notes on the history, where it is too short for the policies or partly unused."""
    policy, left_out = plan.spec.rollout, len(plan.history.frame) - len(plan.history.between(plan.start, plan.until))
    if left_out:
        yield f"{left_out:,} requests are before {plan.start:%Y-%m-%d %H:%M} or after the end, and are not played"
    if plan.spec.gates.approvers or plan.spec.gates.signature:
        yield "a rehearsal has no approvals and signatures: these gates are open"
    if plan.days < plan.spec.training.window_days:
        yield (
            f"the history has {plan.days:.1f} days, a training window {plan.spec.training.window_days}: every version "
            "is also trained on rows from before the history"
        )
    if policy.deadline_hours < LOOKS_IN_A_ROLLOUT:
        yield (
            f"`rollout.deadline_hours` is {policy.deadline_hours:g}, and a rehearsal looks once an hour: rollouts end "
            f"before they begin; give one of {LOOKS_IN_A_ROLLOUT} h or more, with --policy"
        )
    least = policy.shadow_hours + max(policy.min_canary_hours, policy.soak_hours * len(policy.steps))
    if plan.days * 24 < least:
        yield (
            f"the history has {plan.days * 24:.0f} h, and `rollout` promotes nothing in less than {least:g} h: "
            "a challenger can be rolled back, but not become champion"
        )
