"""The jobs with which a person changes the versions that serve, from the UI: `promote`, `rollback`, `rollout_by_hand`.

They are for any model of the code location, which their configuration names. Sensors do not need them.
"""

from collections.abc import Sequence
from typing import Any

import dagster as dg

from mlops_dagster.components.assets.deployment import materializations
from mlops_dagster.components.platform import Platform, publish_policies
from mlops_dagster.loop import by_hand
from mlops_dagster.loop.roll_out import Step
from mlops_dagster.loop.shown.fleet import JOBS, OPS
from mlops_dagster.loop.spec import ModelSpec, spec_of
from mlops_dagster.stores import Stores

EMERGENCY = {"dagster/priority": "100", "mlops/emergency": "true"}
"""Tags that put a run ahead of all queued runs; the limits in `dagster.yaml` keep a slot free for it."""


class Change(dg.Config):
    """The model whose serving versions are changed, and the reason, which is kept for ever."""

    model: str
    reason: str


class Promotion(Change):
    """The version to make champion."""

    version: str


class Rollback(Change):
    """A rollback to the previous champion, or to the version `to`.

    `bad` may name the champion to be replaced: then a second run of the same configuration changes nothing.
    """

    to: str = ""
    bad: str = ""


class ByHand(Change):
    """The action to take on the running rollout."""

    action: by_hand.Action


def by_hand_jobs(specs: Sequence[ModelSpec]) -> list[dg.JobDefinition]:
    """Return the three jobs over all models."""

    @dg.op(description=OPS["promotion"])
    def promotion(context: dg.OpExecutionContext, config: Promotion, platform: Platform) -> None:
        stores, spec = platform.stores(), spec_of(specs, config.model)
        publish_policies(stores, spec, context)
        _record(context, stores, spec, by_hand.promote(stores, spec, config.version, config.reason))

    @dg.op(description=OPS["withdrawal"])
    def withdrawal(context: dg.OpExecutionContext, config: Rollback, platform: Platform) -> None:
        stores, spec = platform.stores(), spec_of(specs, config.model)
        step = by_hand.roll_back(stores, spec, config.reason, to=config.to, bad=config.bad)
        _record(context, stores, spec, step)

    @dg.op(description=OPS["manual_action"])
    def manual_action(context: dg.OpExecutionContext, config: ByHand, platform: Platform) -> None:
        stores, spec = platform.stores(), spec_of(specs, config.model)
        _record(context, stores, spec, by_hand.act(stores, spec, config.action, config.reason))

    # With any default executor a new process would take seconds to start.
    at_once = {"tags": EMERGENCY, "executor_def": dg.in_process_executor}
    return [
        _job("promote", promotion),
        _job("rollback", withdrawal, **at_once),
        _job("rollout_by_hand", manual_action, **at_once),
    ]


def _job(name: str, op: dg.OpDefinition, **more: Any) -> dg.JobDefinition:
    return dg.GraphDefinition(name=name, node_defs=[op], description=JOBS[name]).to_job(**more)


def _record(context: dg.OpExecutionContext, stores: Stores, spec: ModelSpec, step: Step) -> None:
    for event in materializations(context.instance, stores, spec, step):
        context.log_event(event)
