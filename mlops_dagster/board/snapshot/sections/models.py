"""The models of the page: deployment, hold, owners, and the epoch in force at each worker."""

from collections.abc import Collection, Sequence

from mlops_dagster.board.snapshot.entities import ModelRow, WorkerRow
from mlops_dagster.board.snapshot.links import asset
from mlops_dagster.board.snapshot.sections.versions import MOST, in_a_role
from mlops_dagster.board.snapshot.view import View, worst_alerts
from mlops_dagster.registry import Acknowledgement, Deployment, Event


def models(view: View) -> tuple[ModelRow, ...]:
    """Return a row for each model of the page, the one in the worst state first."""
    registry, worst = view.stores.registry, worst_alerts(view.alerts)
    held = [model for model in view.models if view.deployments[model].on_hold is not None]
    holds = registry.last_events(("held",), models=held, as_of=view.as_of) if held else {}
    acknowledged, there = registry.acknowledgements_of(view.models), registry.workers()
    found = []
    for model in view.models:
        its, versions, hold = view.deployments[model], sum(view.stages.get(model, {}).values()), holds.get(model)
        found.append(
            ModelRow(
                model=model,
                champion=its.champion,
                canary=its.canary,
                canary_weight=its.canary_weight,
                shadows=its.shadows,
                severity=worst.get(model),
                alerts=sum(alert.model == model for alert in view.alerts),
                on_hold="" if its.on_hold is None else its.on_hold.reason,
                on_hold_by=_hold_by(its, hold),
                on_hold_since=None if its.on_hold is None or hold is None else hold.at,
                owners=_owners(view, model),
                epoch=its.epoch,
                workers=_workers(its, acknowledged.get(model, ()), there, past=view.past),
                versions=versions,
                hidden_versions=0 if view.only else max(versions - len(in_a_role(its)) - MOST, 0),
                command=_command(model, its),
                dagster=asset(view, model, "deployment"),
            )
        )
    return tuple(found)


def _hold_by(deployment: Deployment, hold: Event | None) -> str:
    if deployment.on_hold is None:
        return ""
    return "a failed validation" if deployment.on_hold.automatic else "" if hold is None else hold.actor


def _command(model: str, deployment: Deployment) -> str:
    if deployment.on_hold is None:
        return f"mlops models history {model}"
    return f"mlops models release {model} --reason '...'"


def _owners(view: View, model: str) -> tuple[str, ...]:
    owners = view.policies(model).sections.get("owners")
    return tuple(each for each in owners if isinstance(each, str)) if isinstance(owners, list) else ()


def _workers(
    deployment: Deployment, acknowledged: Sequence[Acknowledgement], there: Collection[str], *, past: bool
) -> tuple[WorkerRow, ...]:
    """Return the last epoch of each worker that is there; of the past, the workers that served the epoch of then."""
    if past:
        its = [each for each in acknowledged if each.epoch == deployment.epoch]
    else:
        its = list({each.process: each for each in acknowledged if each.process in there}.values())
    return tuple(
        WorkerRow(each.process, each.epoch, each.epoch == deployment.epoch, each.at)
        for each in sorted(its, key=lambda each: (each.epoch, each.process))
    )
