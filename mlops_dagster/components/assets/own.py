"""The decorators of a model's assets, with the arguments that its assets share."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, TypeAlias

import dagster as dg

from mlops_dagster.components.keys import key_of
from mlops_dagster.components.partitions import CADENCE, MODEL, STAGE, Cadence, due_every
from mlops_dagster.components.views.links import control_room
from mlops_dagster.loop.spec import ModelSpec

NO_METADATA: Mapping[str, object] = MappingProxyType({})
Decorator: TypeAlias = Callable[[Callable[..., Any]], dg.AssetsDefinition]


def model_asset(
    spec: ModelSpec,
    asset: str,
    stage: str,
    *,
    cadence: str | None = None,
    metadata: Mapping[str, object] = NO_METADATA,
    **more: Any,
) -> Decorator:
    """Define an asset of a model, at a stage of the model's life, with further arguments of `dagster.asset`.

    The fleet's job `cadence` makes it, if one is named.
    """
    tags = {STAGE: stage} if cadence is None else {STAGE: stage, CADENCE: cadence}
    owners = list(spec.owners)
    made: Decorator = dg.asset(
        key=key_of(spec, asset),
        group_name=spec.prefix,
        owners=owners,
        tags=tags,
        metadata={**metadata, **control_room(spec)},
        **more,
    )
    return made


def report_asset(spec: ModelSpec, asset: str, stage: str, cadence: Cadence, **more: Any) -> Decorator:
    """Define an asset that is a report of hours, days or weeks; one run makes any number of them."""
    return model_asset(
        spec,
        asset,
        stage,
        cadence=cadence.job,
        metadata={MODEL: spec.model},
        partitions_def=cadence.partitions(),
        freshness_policy=due_every(cadence.every),
        backfill_policy=dg.BackfillPolicy.single_run(),
        **more,
    )
