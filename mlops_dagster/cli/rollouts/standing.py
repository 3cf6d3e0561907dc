"""`mlops rollouts status`: the state of the latest rollout."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from mlops_dagster.cli.arguments import Json, Model
from mlops_dagster.cli.output import NONE, facts, minute, print_json
from mlops_dagster.cli.rollouts.listing import rollout_document
from mlops_dagster.cli.running import open_stores
from mlops_dagster.errors import RolloutNotFoundError
from mlops_dagster.links.dagster import asset_page
from mlops_dagster.loop.shown.rollouts import debt_in_words, label_debt, labels_in_words, place, still_needed

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from mlops_dagster.registry import Acknowledgement, Deployment, ModelPolicies
    from mlops_dagster.rollout import Decision, Rollout


def status(model: Model, json: Json = False) -> None:
    """Show the state of the latest rollout: the deployment, the last decision, and the evidence still needed."""
    from mlops_dagster.rollout.reconcile import reconcile

    stores = open_stores()
    dagster = stores.settings.dagster_url
    page = asset_page(dagster, model, "deployment") if dagster else None
    deployment = stores.registry.deployment(model)
    found = stores.rollouts.list(model)
    if not found:
        raise RolloutNotFoundError(
            f"{model} has had no rollout yet; one begins with a new version while there is a champion"
        )
    # Reconciled with the deployment, which the fuse or a person may have changed since the controller's last look.
    rollout = reconcile(found[-1], deployment, stores.registry.get(model, found[-1].challenger))
    now = stores.clock.now()
    last = stores.rollouts.last_decision(rollout.id)
    look = None if rollout.phase.ended else stores.controller(lambda _model: rollout.policy).look(rollout)
    workers = _there(stores.registry.acknowledgements(model), stores.registry.workers())
    if json:
        print_json(_document(rollout, deployment, workers, last, look, now) | {"dagster": page})
        return
    facts(
        [
            ("rollout", f"{rollout.id}: {model} {rollout.challenger} against {rollout.champion}"),
            ("stands at", f"{place(rollout)}, since {minute(rollout.ended_at or rollout.step_at)}"),
            *([("because", rollout.reason)] if rollout.reason else []),
            *([("policy", kept)] if (kept := _kept(rollout, stores.registry.policies(model))) else []),
            ("in force", _in_force(deployment)),
            ("workers", _workers(deployment, workers)),
            ("decided last", "nothing yet" if last is None else f"{last.outcome}, {minute(last.at)}: {last.reason}"),
            *([("", f"mlops rollouts explain {last.id}")] if last is not None else []),
            *([] if look is None else _now(rollout, look, now)),
            *([("Dagster", page)] if page else []),
        ]
    )


def _kept(rollout: "Rollout", published: "ModelPolicies") -> str:
    """Return a sentence on the policy keys that were published otherwise since the rollout began; "" if none were."""
    from mlops_dagster.rollout.kept_policy import kept_policy
    from mlops_dagster.rollout.policy import RolloutPolicy

    return kept_policy(rollout, published.section("rollout", RolloutPolicy)) if published.event else ""


def _now(rollout: "Rollout", look: "Decision", now: "datetime") -> list[tuple[str, str]]:
    evidence = look.evidence
    deadline = rollout.deadline(now)
    return [
        ("now", f"{look.outcome}: {look.reason}"),
        *((f"  {test}", needed) for test, needed in still_needed(look).items()),
        ("labels", labels_in_words(evidence.labels)),
        ("without label", debt_in_words(label_debt(rollout.policy, evidence))),
        ("time in step", _hours(now - rollout.step_at)),
        ("deadline", f"{minute(deadline)}, {f'in {_hours(deadline - now)}' if now < deadline else 'passed'}"),
    ]


def _hours(time: "timedelta") -> str:
    return f"{time.total_seconds() / 3600:.1f} h"


def _in_force(deployment: "Deployment") -> str:
    canary = f", canary {deployment.canary} at {100 * deployment.canary_weight:g} %" if deployment.canary else ""
    shadows = f", shadows {', '.join(deployment.shadows)}" if deployment.shadows else ""
    return f"epoch {deployment.epoch}: champion {deployment.champion or NONE}{canary}{shadows}"


def _there(acknowledged: "list[Acknowledgement]", there: "set[str]") -> "Mapping[str, Acknowledgement]":
    """By worker that is there, the last epoch that it said it serves."""
    return {each.process: each for each in acknowledged if each.process in there}


def _workers(deployment: "Deployment", workers: "Mapping[str, Acknowledgement]") -> str:
    serving = [each for each in workers.values() if each.epoch == deployment.epoch]
    behind = [f"{each.process} at {each.epoch}" for each in workers.values() if each.epoch != deployment.epoch]
    others = f"; behind: {', '.join(behind)}" if behind else ""
    return f"{len(serving)} serve epoch {deployment.epoch}{others}"


def _document(
    rollout: "Rollout",
    deployment: "Deployment",
    workers: "Mapping[str, Acknowledgement]",
    last: "Decision | None",
    look: "Decision | None",
    now: "datetime",
) -> dict[str, object]:
    return {
        **rollout_document(rollout),
        "step": rollout.step,
        "steps": rollout.policy.steps,
        "step_at": rollout.step_at,
        "deadline": rollout.deadline(rollout.ended_at or now),
        "epoch": deployment.epoch,
        "workers": {name: each.epoch for name, each in workers.items()},
        "last_decision": None
        if last is None
        else {"id": last.id, "at": last.at, "outcome": last.outcome.value, "reason": last.reason},
        "now": None
        if look is None
        else {
            "outcome": look.outcome.value,
            "reason": look.reason,
            "needed": still_needed(look),
            "paired_labels": look.evidence.labels.paired.total,
            "labelled_rows_at_step": look.evidence.labels.step,
            "labels_known": look.evidence.labels.share,
            "labels_complete_until": look.evidence.labels.complete_until,
            "without_label": label_debt(rollout.policy, look.evidence),
        },
    }
