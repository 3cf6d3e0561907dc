"""`mlops trainer`: a check of a team's trainer before Dagster runs it."""

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mlops_dagster.cli.output import hint, say
from mlops_dagster.cli.running import attributes_of, settings, speaks
from mlops_dagster.documents.readable import fields_of
from mlops_dagster.errors import InvalidInputError, InvalidPolicyError

if TYPE_CHECKING:
    from collections.abc import Generator

    from mlops_dagster.loop.spec import ModelSpec
    from mlops_dagster.rollout.policy import RolloutPolicy
    from mlops_dagster.rollout.prospects.prospects import Traffic

trainer = typer.Typer(no_args_is_help=True, help="A team's trainer, tried before Dagster runs it.")


@trainer.callback()
def _group() -> None:
    """Keep `trainer` a group of commands, though it has one command so far."""


@trainer.command()
@speaks
def check(
    module: Annotated[str, typer.Argument(help="dotted path of the trainer")],
    policy: Annotated[Path | None, typer.Option(help="the model's defs.yaml; else the defaults hold")] = None,
    at: Annotated[datetime | None, typer.Option(help="end of the training set, UTC; else now")] = None,
    per_day: Annotated[float | None, typer.Option(help="requests a day; else `traffic` of the policy")] = None,
    label_delay_hours: Annotated[float, typer.Option(help="hours until a label is known, with --per-day")] = 0,
) -> None:
    """Import a trainer, read its rows, fit it on a few of them and report what its rollouts can prove.

    The exit code is 1, with the reason, at the first error that a training run would fail with.
    """
    from mlops_dagster.loop.spec import TrainingSpec
    from mlops_dagster.monitoring import ValidationPolicy
    from mlops_dagster.retraining.dry_run import dry_run
    from mlops_dagster.rollout import RolloutPolicy

    spec = None if policy is None else _read(policy)
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))  # Dagster finds modules there too
    training = TrainingSpec(dataset="") if spec is None else spec.training
    end = datetime.now(UTC) if at is None else at.replace(tzinfo=at.tzinfo or UTC)
    steps = dry_run(
        module,
        end - timedelta(days=training.window_days),
        end,
        end - timedelta(days=training.evaluation_days),
        fairness_attributes=() if spec is None else spec.card.fairness_attributes,
        validation=ValidationPolicy() if spec is None else spec.validation,
        own_types=settings().own_types,
    )
    shares = _tell(steps)
    traffic = None if spec is None else spec.traffic
    if per_day is not None:
        traffic = _traffic(per_day, label_delay_hours)
    if traffic is None:
        hint("what its rollouts can prove: give --per-day and --label-delay-hours, or `traffic` in defs.yaml")
    else:
        _tell_prospects(RolloutPolicy() if spec is None else spec.rollout, traffic, shares)


def _tell(steps: "Generator[str, None, dict[str, float]]") -> dict[str, float]:
    while True:
        try:
            say(f"ok  {next(steps)}")
        except StopIteration as end:
            return dict(end.value)


def _tell_prospects(policy: "RolloutPolicy", traffic: "Traffic", shares: dict[str, float]) -> None:
    from mlops_dagster.rollout.prospects.proposal import check_can_promote
    from mlops_dagster.rollout.prospects.prospects import prospects

    check_can_promote(policy, traffic, shares)
    say(f"ok  rollout: {traffic.requests_per_day:g} requests a day, labels {traffic.label_delay_hours:g} hours late")
    for each in prospects(policy, traffic, shares):
        say(f"    {each.challenger}: {each.outcome.value} after {each.hours:g} hours, {each.pairs:,} labels")
    if policy.rows_per_observation is None:
        hint("if rows are independent; where the rows of a day share causes, it takes as many times more labels")


def _traffic(per_day: float, label_delay_hours: float) -> "Traffic":
    from pydantic import ValidationError

    from mlops_dagster.rollout.prospects.prospects import Traffic

    try:
        return Traffic(requests_per_day=per_day, label_delay_hours=label_delay_hours)
    except ValidationError as error:
        raise InvalidInputError(f"this traffic cannot be read: {fields_of(error)}") from error


def _read(file: Path) -> "ModelSpec":
    """Return the model's spec in the file; raises InvalidPolicyError."""
    from pydantic import ValidationError

    from mlops_dagster.loop.spec import ModelSpec

    try:
        spec = ModelSpec.model_validate(attributes_of(file))
    except ValidationError as error:
        raise InvalidPolicyError(f"{file} is not the defs.yaml of a model: {fields_of(error)}; mend that") from error
    if spec.validation.suite is None:
        return spec
    beside = spec.validation.model_copy(update={"suite": file.parent / spec.validation.suite})
    return spec.model_copy(update={"validation": beside})
