"""The decorators of a model's assets and checks, with the arguments that they share."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeAlias

import dagster as dg

from mlops_dagster.components.keys import key_of
from mlops_dagster.components.partitions import CADENCE, MODEL, STAGE, Cadence, newest_made, windows_of
from mlops_dagster.components.platform import Platform, publish_policies
from mlops_dagster.components.views import check_result, shown
from mlops_dagster.loop.reporting import ShownReports
from mlops_dagster.loop.shown.assets import ASSETS, CHECKS, control_room
from mlops_dagster.loop.shown.pages import not_the_newest
from mlops_dagster.loop.spec import ModelSpec
from mlops_dagster.stores import Stores

Decorator: TypeAlias = Callable[[Callable[..., Any]], dg.AssetsDefinition]

if TYPE_CHECKING:
    Made: TypeAlias = dg.MaterializeResult[Any]
else:
    Made = dg.MaterializeResult  # Dagster refuses the parameter beside check_specs


def model_asset(
    spec: ModelSpec, asset: str, *, takes: Sequence[str] = (), after: Sequence[str] = (), **more: Any
) -> Decorator:
    """Define an asset of a model, which takes the values of some assets, and only follows others.

    The other arguments are those of `dagster.asset`.
    """
    ins = {name: dg.AssetIn(key=key_of(spec, name)) for name in takes}
    made: Decorator = dg.asset(ins=ins, **{**asset_arguments(spec, asset, *after), **more})
    return made


def report_asset(spec: ModelSpec, asset: str, cadence: Cadence, *, after: str) -> Decorator:
    """Define an asset that is a report of hours, days or weeks, with its checks; one run makes any number of them."""
    return model_asset(
        spec,
        asset,
        after=[after],
        tags={STAGE: ASSETS[asset].stage, CADENCE: cadence.job},
        metadata={MODEL: spec.model, **shown(control_room(spec))},
        partitions_def=cadence.partitions(),
        freshness_policy=cadence.freshness(),
        backfill_policy=dg.BackfillPolicy.single_run(),
        check_specs=checks_of(spec, asset),
    )


def asset_arguments(spec: ModelSpec, asset: str, *after: str) -> dict[str, Any]:
    """Return the arguments that describe an asset, which follows others; its group is the model."""
    described = ASSETS[asset]
    return {
        "key": key_of(spec, asset),
        "group_name": spec.prefix,
        "owners": list(spec.owners),
        "description": described.text.format(spec=spec),
        "kinds": set(described.kinds),
        "tags": {STAGE: described.stage},
        "metadata": shown(control_room(spec)),
        "deps": [key_of(spec, name) for name in after],
    }


def checks_of(spec: ModelSpec, asset: str, *, blocking: bool = False) -> list[dg.AssetCheckSpec]:
    """Return the checks that an asset evaluates itself."""
    names = [check for of, check in CHECKS if of == asset]
    return [dg.AssetCheckSpec(**check_arguments(spec, asset, check), blocking=blocking) for check in names]


def check_arguments(spec: ModelSpec, asset: str, check: str) -> dict[str, Any]:
    """Return the arguments that describe a check."""
    return {"name": check, "asset": key_of(spec, asset), "description": CHECKS[asset, check].format(spec=spec)}


def report(
    context: dg.AssetExecutionContext,
    platform: Platform,
    spec: ModelSpec,
    judge: Callable[[Stores, ModelSpec, Mapping[str, datetime]], ShownReports],
) -> Made:
    """Judge the partitions of a run, and show the reports and the results of their checks."""
    stores, windows = platform.stores(), windows_of(context)
    publish_policies(stores, spec, context)
    reports = judge(stores, spec, {key: window.start for key, window in windows.items()})
    last, window = list(windows.items())[-1]
    newest = newest_made(context, window, stores.clock.now())
    overtaken = shown(not_the_newest(stores, spec, context.asset_key.path[-1], last, newest))
    for key, entries in reports.entries.items():
        context.add_asset_metadata({**overtaken, **shown(entries)}, partition_key=key)
    return dg.MaterializeResult(check_results=[check_result(name, found) for name, found in reports.checks.items()])
