"""Jobs over the few assets of one model, in a location that has thousands."""

from collections.abc import Mapping

import dagster as dg

from mlops_dagster.components.compat import AssetGraph, KeysAssetSelection, UnresolvedAssetJobDefinition


class OwnJob(UnresolvedAssetJobDefinition):
    """A job over assets that are named by their keys.

    It does not look through all assets of the location, as Dagster's own does, which takes minutes for 1,000 models.
    """

    def resolve(
        self,
        asset_graph: AssetGraph,
        default_executor_def: dg.ExecutorDefinition | None = None,
        resource_defs: Mapping[str, dg.ResourceDefinition] | None = None,
    ) -> dg.JobDefinition:
        assert isinstance(self.selection, KeysAssetSelection)
        keys = self.selection.selected_keys
        checks = [check for key in keys for check in asset_graph.get(key).check_keys]
        few = AssetGraph.normalize_assets(asset_graph.assets_defs_for_keys([*keys, *checks]))
        return super().resolve(AssetGraph.from_assets(few), default_executor_def, resource_defs)
