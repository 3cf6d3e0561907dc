"""Dagster's private names: all that this package uses, in one place to look at when Dagster is upgraded.

None of these has a public name. `python -m checks.private_names` refuses them elsewhere.
"""

import os

from dagster import DagsterInstance, ScheduleEvaluationContext
from dagster._core.definitions.asset_selection import KeysAssetSelection
from dagster._core.definitions.assets.graph.asset_graph import AssetGraph
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition
from dagster._core.errors import DagsterUserCodeProcessError
from dagster._core.events import JobFailureData, RunFailureReason
from dagster._core.instance.ref import InstanceRef
from dagster._core.scheduler.instigation import SensorInstigatorData
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus
from dagster._core.storage.dagster_run import NOT_FINISHED_STATUSES
from dagster._core.storage.event_log import SqlEventLogStorage, SqliteEventLogStorage
from dagster._core.storage.event_log.schema import AssetCheckExecutionsTable, SqlEventLogStorageMetadata
from dagster._core.storage.event_log.sqlite.sqlite_event_log import INDEX_SHARD_NAME
from dagster._core.storage.noop_compute_log_manager import NoOpComputeLogManager
from dagster._core.storage.sqlite import SQLITE_BUSY_TIMEOUT_SECONDS
from dagster._core.storage.tags import PARTITION_NAME_TAG, PRIORITY_TAG, RUN_KEY_TAG
from dagster._core.workspace.load_target import WorkspaceFileTarget
from dagster._grpc.utils import get_loadable_targets
from dagster._serdes import ConfigurableClassData
from dagster._utils.schedules import reverse_cron_string_iterator
from dagster._utils.warnings import suppress_dagster_warnings
from dagster.components.core.component_tree import ComponentTree, ComponentTreeException
from dagster.components.core.context import ComponentDeclLoadContext
from dagster.components.core.decl import (
    ComponentDecl,
    ComponentLoaderDecl,
    DefsFolderDecl,
    YamlDecl,
    YamlFileDecl,
    build_filesystem_component_decl_from_context,
)
from dagster.components.core.defs_module import (
    EXPLICITLY_IGNORED_GLOB_PATTERNS,
    ComponentLoc,
    ComponentPath,
    find_defs_or_component_yaml,
)
from dagster.components.definitions import LazyDefinitions
from dagster_shared.error import SerializableErrorInfo
from dagster_shared.record import copy
from dagster_shared.utils import safe_is_subclass


def is_check() -> bool:
    """Return whether `dg check defs` or `dagster definitions validate` loads the definitions: both set this."""
    return os.environ.get("DAGSTER_IS_DEFS_VALIDATION_CLI") == "1"


def stay_in(instance: DagsterInstance, context: ScheduleEvaluationContext) -> None:
    """Let a schedule's context use this open instance; else it opens the instance again, half a second for each."""
    context._instance = instance  # type: ignore[assignment]  # inferred from its None
