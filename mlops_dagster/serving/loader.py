"""Versions into memory, beside the requests."""

import gc
import logging
import threading
import time
from collections import Counter
from collections.abc import Collection
from concurrent.futures import Future, ThreadPoolExecutor

from mlops_dagster.errors import MlopsError, ModelFailedError, StorageError
from mlops_dagster.registry import ModelVersion
from mlops_dagster.serving.artifacts import Artifacts
from mlops_dagster.serving.last_known import LastKnown
from mlops_dagster.serving.models import LoadedModel
from mlops_dagster.serving.telemetry import Telemetry
from mlops_dagster.wiring import House

logger = logging.getLogger(__name__)

RETRY_SECONDS = 5.0
TRIES_TOLD = 12  # a minute of them: then it is no passing trouble, and the rollout, if there is one, ends
Key = tuple[str, str]


class Loader:
    """Loads versions in the background, verified and warmed up; keeps them until told otherwise."""

    def __init__(self, house: House, last_known: LastKnown, telemetry: Telemetry) -> None:
        self._house = house
        self._last_known = last_known
        self._artifacts = Artifacts(house.settings)
        self._telemetry = telemetry
        self._executor = ThreadPoolExecutor(max_workers=2, thread_name_prefix="loader")
        self._lock = threading.Lock()
        self._loads: dict[Key, Future[LoadedModel]] = {}
        self._failed_at: dict[Key, float] = {}
        self._failures: Counter[Key] = Counter()

    def version(self, model: str, version: str) -> ModelVersion:
        """The registry's entry; while that is away, the last known one. Raises NotFoundError, StorageError."""
        try:
            return self._house.registry.get(model, version)
        except StorageError:
            noted = self._last_known.version(model, version)
            if noted is None:
                raise
            return noted

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

    def forget(self, model: str, keep: Collection[str]) -> None:
        """Free the versions of `model` that are not in `keep`."""
        dropped = []
        with self._lock:
            for key in [key for key in self._loads if key[0] == model and key[1] not in keep]:
                if self._loads[key].done():
                    del self._loads[key]
                    self._failed_at.pop(key, None)
                    self._failures.pop(key, None)
                    self._telemetry.unloaded(*key)
                    dropped.append(key)
        for key in dropped:
            if (noted := self._last_known.version(*key)) is not None:
                self._artifacts.forget(noted)

    def close(self) -> None:
        self._executor.shutdown(wait=False, cancel_futures=True)

    def _load(self, model: str, version: str) -> LoadedModel:
        try:
            entry = self.version(model, version)
            if entry.schema is None:
                raise ModelFailedError(f"{model} {version} was registered without a schema and cannot be served")
            loaded = LoadedModel(version, entry.schema, self._artifacts.load(entry), entry.baseline)
            loaded.try_out()
            self._last_known.note_version(entry)  # before it serves: the rollups find its bins there
        except BaseException as error:  # a panic too: it is tried again, and told
            logger.exception("%s %s cannot be loaded; tried again in %g s", model, version, RETRY_SECONDS)
            self._telemetry.loaded(model, version, ready=False)
            self._tell(model, version, error)
            self._failed_at[model, version] = time.monotonic()
            raise
        self._failures.pop((model, version), None)
        self._telemetry.loaded(model, version, ready=True)
        # A walk of Python's collector through all that is loaded takes 0.1 s, in which nobody is answered.
        gc.freeze()
        return loaded

    def _tell(self, model: str, version: str, error: BaseException) -> None:
        """The registry is told of a version that fails again and again, not of a store or a disk that is away."""
        if isinstance(error, StorageError):
            return
        self._failures[model, version] += 1
        if self._failures[model, version] % TRIES_TOLD:
            return
        why = str(error) if isinstance(error, MlopsError) else f"{type(error).__name__}: {error}"
        try:
            self._house.registry.note_not_loaded(model, version, why=why)
        except StorageError as away:
            logger.error("the registry cannot be told that %s %s is not loadable: %s", model, version, away)
