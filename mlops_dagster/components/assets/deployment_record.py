"""The asset `deployment`, and its record: each action, with its reason and evidence."""

import dagster as dg

from mlops_dagster.components.checks.gates import gates_evaluation
from mlops_dagster.components.keys import key_of
from mlops_dagster.components.partitions import STAGE
from mlops_dagster.components.views.links import control_room
from mlops_dagster.components.views.tables import shown
from mlops_dagster.loop.roll_out import Step
from mlops_dagster.loop.shown.action import action_entries
from mlops_dagster.loop.spec import ModelSpec
from mlops_dagster.stores import Stores


def deployment_asset(spec: ModelSpec) -> dg.AssetSpec:
    """Return the asset `deployment`, which no run makes: each action on the serving versions materializes it."""
    return dg.AssetSpec(
        key_of(spec, "deployment"),
        group_name=spec.prefix,
        tags={STAGE: "serving"},
        kinds={"registry"},
        owners=list(spec.owners),
        metadata=control_room(spec),
        deps=[key_of(spec, "registered_version")],
        description="The versions that answer requests. Materialized by each step, promotion, rollback and manual "
        "action, with reason and evidence.",
    )


def record(instance: dg.DagsterInstance, stores: Stores, spec: ModelSpec, step: Step) -> None:
    """Record a step of a sensor: the action on `deployment`, and the gates that were looked at."""
    if step.candidate is not None:
        instance.report_runless_asset_event(gates_evaluation(spec, step.candidate.version, step.candidate.closed))
    for event in materializations(instance, stores, spec, step):
        instance.report_runless_asset_event(event)


def materializations(
    instance: dg.DagsterInstance, stores: Stores, spec: ModelSpec, step: Step
) -> list[dg.AssetMaterialization]:
    """Return the record of a step, its reason and the serving versions; none without an action, or if recorded already.

    Two sensors may find the same rollback, and a person's second run of the same changes nothing.
    """
    if not step.action:
        return []
    links = {
        "version": dg.MetadataValue.asset(key_of(spec, "registered_version")),
        "comparison": dg.MetadataValue.asset(key_of(spec, "champion_challenger")),
    }
    entries = action_entries(step, stores.registry.deployment(spec.model))
    now = dg.AssetMaterialization(key_of(spec, "deployment"), metadata=shown({**entries, **links}))
    last = instance.get_latest_materialization_event(now.asset_key)
    said = None if last is None else last.asset_materialization
    return [] if said is not None and said.metadata == now.metadata else [now]
