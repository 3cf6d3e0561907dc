"""The Dagster instance of a rehearsal: its own folder, real files, no daemon."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import dagster as dg

from mlops_dagster.components.compat import InstanceRef, NoOpComputeLogManager
from mlops_dagster.rehearsal.orchestrator.event_log import PooledEventLogStorage

DAGSTER_YAML = f"""\
# The instance of a rehearsal. Open it with the web server only: a daemon would find schedules years overdue.
telemetry:
  enabled: false
nux:
  enabled: false

# Nothing here prints, and capturing what is printed starts two processes for every step.
compute_logs:
  module: {NoOpComputeLogManager.__module__}
  class: {NoOpComputeLogManager.__name__}
"""


OF_MODELS = frozenset(
    f"MLOPS_{name}"
    for name in ("TRUSTED_TYPES", "ALLOW_UNSAFE_ARTIFACTS", "TRIAL_SECONDS", "TRIAL_MEMORY_MB", "PREDICT_TIMEOUT")
)
"""Settings that say how model files are loaded and tried, and name no place; without them a model may be refused."""


@contextmanager
def dagster_instance(folder: Path) -> Iterator[dg.DagsterInstance]:
    """Create a Dagster instance in `folder`, and set DAGSTER_HOME to it until the end of the block."""
    folder.mkdir(parents=True)
    (folder / "dagster.yaml").write_text(DAGSTER_YAML)
    pooled = {
        "module": PooledEventLogStorage.__module__,
        "class": PooledEventLogStorage.__name__,
        "config": {"base_dir": str(folder.absolute() / "history" / "runs")},
    }
    reference = InstanceRef.from_dir(str(folder.absolute()), overrides={"event_log_storage": pooled})
    with environment(DAGSTER_HOME=str(folder.absolute())), dg.DagsterInstance.from_ref(reference) as instance:
        yield instance


@contextmanager
def environment(**variables: str) -> Iterator[None]:
    """Set environment variables until the end of the block, then restore the earlier ones."""
    before = dict(os.environ)
    os.environ.update(variables)
    try:
        yield
    finally:
        _replace(before)


@contextmanager
def only_settings(**settings: str) -> Iterator[None]:
    """Set these `MLOPS_*` variables and keep only those of `OF_MODELS`, so that no other installation is touched."""
    before = dict(os.environ)
    kept = {name: value for name, value in before.items() if not name.startswith("MLOPS_") or name in OF_MODELS}
    _replace(kept | settings)
    try:
        yield
    finally:
        _replace(before)


def _replace(variables: Mapping[str, str]) -> None:
    for name in os.environ.keys() - variables.keys():
        del os.environ[name]
    os.environ.update(variables)
