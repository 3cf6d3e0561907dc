"""Keys of a model's assets in Dagster."""

import dagster as dg

from mlops_dagster.loop.spec import ModelSpec


def key_of(spec: ModelSpec, asset: str) -> dg.AssetKey:
    """Return the key of one of a model's assets.

    Dagster shows it as model/asset, with the model's name as Dagster allows it.
    """
    return dg.AssetKey([spec.prefix, asset])
