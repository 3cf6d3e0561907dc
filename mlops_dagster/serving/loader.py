"""Versions into memory, beside the requests."""

import logging
import threading
import time
from collections.abc import Collection
from concurrent.futures import Future, ThreadPoolExecutor

from mlops_dagster.errors import ModelFailedError
from mlops_dagster.registry import ModelRegistry
from mlops_dagster.serving.models import LoadedModel
from mlops_dagster.serving.telemetry import Telemetry

logger = logging.getLogger(__name__)

RETRY_SECONDS = 5.0
Key = tuple[str, str]


class Loader:
    """Loads versions in the background, verified and warmed up; keeps them until told otherwise."""

    def __init__(self, registry: ModelRegistry, telemetry: Telemetry) -> None:
        self._registry = registry
        self._telemetry = telemetry
        self._executor = ThreadPoolExecutor(max_workers=2, thread_name_prefix="loader")
        self._lock = threading.Lock()
        self._loads: dict[Key, Future[LoadedModel]] = {}
        self._failed_at: dict[Key, float] = {}

    def load(self, model: str, version: str) -> "Future[LoadedModel]":
        """The version, when it is there; a load that failed is tried again after some seconds."""
        key = (model, version)
        with self._lock:
            retry = time.monotonic() - self._failed_at.get(key, time.monotonic()) > RETRY_SECONDS
            if key not in self._loads or retry:
                self._failed_at.pop(key, None)
                self._loads[key] = self._executor.submit(self._load, model, version)
            return self._loads[key]

    def ready(self, model: str, version: str) -> LoadedModel | None:
        """The version if it is in memory; otherwise its load is begun."""
        load = self.load(model, version)
        return load.result() if load.done() and load.exception() is None else None

    def error(self, model: str, version: str) -> BaseException | None:
        """Why the version is not in memory: what its last load raised."""
        load = self._loads.get((model, version))
        return load.exception() if load is not None and load.done() else None

    def is_loaded(self, model: str, version: str) -> bool:
        load = self._loads.get((model, version))
        return load is not None and load.done() and load.exception() is None

    def forget(self, model: str, keep: Collection[str]) -> None:
        """Free the versions of `model` that are not in `keep`."""
        with self._lock:
            for key in [key for key in self._loads if key[0] == model and key[1] not in keep]:
                if self._loads[key].done():
                    del self._loads[key]
                    self._failed_at.pop(key, None)
                    self._telemetry.unloaded(*key)

    def close(self) -> None:
        self._executor.shutdown(cancel_futures=True)

    def _load(self, model: str, version: str) -> LoadedModel:
        try:
            entry = self._registry.get(model, version)
            if entry.schema is None:
                raise ModelFailedError(f"{model} {version} was registered without a schema and cannot be served")
            loaded = LoadedModel(version, entry.schema, self._registry.load(entry))
            loaded.warm_up()
        except Exception:
            logger.exception("%s %s cannot be loaded; tried again in %g s", model, version, RETRY_SECONDS)
            self._failed_at[model, version] = time.monotonic()
            self._telemetry.loaded(model, version, ready=False)
            raise
        self._telemetry.loaded(model, version, ready=True)
        return loaded
