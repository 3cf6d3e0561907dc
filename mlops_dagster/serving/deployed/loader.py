"""The loader: brings versions into memory in the background."""

import gc
import logging
import math
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Collection, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from mlops_dagster.errors import MlopsError, ModelFailedError, ServerError, StorageError, TrialFailedError
from mlops_dagster.registry import ModelVersion, estimators
from mlops_dagster.registry.operations import fetching
from mlops_dagster.serving.deployed.artifacts import Artifacts
from mlops_dagster.serving.deployed.loaded_model import LoadedModel
from mlops_dagster.serving.deployed.refusals import Reporter
from mlops_dagster.serving.deployed.registry_cache import RegistryCache
from mlops_dagster.serving.processes.at_work import Marks
from mlops_dagster.serving.telemetry.telemetry import Telemetry
from mlops_dagster.stores import Stores
from mlops_dagster.trial import Trials
from mlops_dagster.trial.process import TrialProcess

logger = logging.getLogger(__name__)

RETRY_SECONDS = 5.0
RETRY_REFUSED_SECONDS = 60.0
"""Seconds before a version that failed its trial is loaded again. Its verdict is kept, so it is not tried anew: the
retry tells a registry that was away, and notices a verdict that was removed."""
NICER = 5
"""Added to the niceness of trials, so that they yield to the processes that answer requests."""
TRIES_TOLD = 12  # a minute of failed loads: the fault stays, and the version's rollout, if any, ends
Key = tuple[str, str]


class Loader:
    """A loader of versions in the background: verified, tried and warmed up; it keeps them until `forget`."""

    def __init__(self, stores: Stores, last_known: RegistryCache, telemetry: Telemetry, marks: Marks) -> None:
        self._stores = stores
        self._last_known = last_known
        self._marks = marks
        self._artifacts = Artifacts(stores.settings)
        self._trials = Trials(stores.settings, stores.settings.trials_path, TrialProcess(nicer=NICER))
        self._reporter = Reporter(stores, last_known)
        self._telemetry = telemetry
        self._executor = ThreadPoolExecutor(max_workers=2, thread_name_prefix="loader")
        self._lock = threading.Lock()
        self._loads: dict[Key, Future[LoadedModel]] = {}
        self._retry_at: dict[Key, float] = {}
        self._failures: Counter[Key] = Counter()

    def version(self, model: str, version: str) -> ModelVersion:
        """Return a version's entry in the registry, or the last known one while the registry is away.

        Raises NotFoundError, StorageError.
        """
        try:
            return self._stores.registry.get(model, version)
        except StorageError:
            noted = self._last_known.version(model, version)
            if noted is None:
                raise
            return noted

    def load(self, model: str, version: str) -> "Future[LoadedModel]":
        """Return the future of a version's load, begun if needed; a failed load is tried again after some seconds."""
        key = (model, version)
        with self._lock:
            if key not in self._loads or time.monotonic() > self._retry_at.get(key, math.inf):
                self._retry_at.pop(key, None)
                self._loads[key] = self._executor.submit(self._load, model, version)
            return self._loads[key]

    def ready(self, model: str, version: str) -> LoadedModel | None:
        """Return the version if it is in memory; otherwise begin its load and return None."""
        self.load(model, version)
        return self.loaded(model, version)

    def loaded(self, model: str, version: str) -> LoadedModel | None:
        """Return the version if it is in memory, else None."""
        load = self._loads.get((model, version))
        return load.result() if load is not None and load.done() and load.exception() is None else None

    def error(self, model: str, version: str) -> BaseException | None:
        """Return the error of the version's last load; None if the version is in memory, or the load has not ended."""
        load = self._loads.get((model, version))
        return load.exception() if load is not None and load.done() else None

    def forget(self, model: str, keep: Collection[str]) -> None:
        """Free the versions of `model` that are not in `keep`, in memory and among the copies."""
        dropped = []
        with self._lock:
            for key in [key for key in self._loads if key[0] == model and key[1] not in keep]:
                if self._loads[key].done():
                    del self._loads[key]
                    self._retry_at.pop(key, None)
                    self._failures.pop(key, None)
                    self._telemetry.unloaded(*key)
                    dropped.append(key)
        for key in dropped:
            if (noted := self._last_known.version(*key)) is not None:
                self._artifacts.forget(noted)

    def close(self) -> None:
        self._executor.shutdown(wait=False, cancel_futures=True)

    def _load(self, model: str, version: str) -> LoadedModel:
        self._telemetry.loading(model, version)
        try:
            entry = self.version(model, version)
            loaded = self._loaded(entry)
            self._last_known.note_version(entry)  # before it serves: the rollups find its bins there
        except MlopsError as error:
            logger.exception("%s %s cannot be loaded", model, version)
            self._telemetry.loaded(model, version, ready=False)
            self._retry_at[model, version] = time.monotonic() + self._tell(model, version, error)
            raise
        self._failures.pop((model, version), None)
        self._telemetry.loaded(model, version, ready=True)
        self._reporter.loaded(model, version)
        # A walk of Python's collector through all that is loaded takes 0.1 s, during which no request is answered.
        gc.freeze()
        return loaded

    def _loaded(self, entry: ModelVersion) -> LoadedModel:
        subject = fetching.subject(entry)
        if subject is None or entry.schema is None:
            raise ModelFailedError(
                f"{entry.model} {entry.version} was registered without a schema and cannot be served"
            )
        mark = self._marks.of(entry.model, entry.version, self._trials.file(subject).name)
        with tempfile.TemporaryDirectory(prefix="mlops-load-") as folder:
            path = self._artifacts.fetch(entry, Path(folder, "model"))
            report = self._trials.prove(subject, lambda _: path, self._reporter.deaths_allowed(entry))
            if report.deaths:
                self._reporter.kills(entry, report.reason)
            with mark:
                loaded = LoadedModel(
                    entry.version,
                    entry.schema,
                    _read(entry, path, self._stores.settings.own_types),
                    entry.baseline,
                    mark,
                )
                loaded.try_out()
        return loaded

    def _tell(self, model: str, version: str, error: MlopsError) -> float:
        """Report a version that cannot be loaded, and return the seconds until its load is tried again.

        A failed trial is reported at once, other errors when they persist, and not at all if the store, disk or trial
        process is away.
        """
        if isinstance(error, TrialFailedError):
            self._reporter.refused(model, version, error)
            return RETRY_REFUSED_SECONDS
        if not isinstance(error, StorageError | ServerError):
            self._failures[model, version] += 1
            if self._failures[model, version] % TRIES_TOLD == 0:
                self._reporter.not_loaded(model, version, error.message)
        return RETRY_SECONDS


def _read(entry: ModelVersion, path: Path, own_types: Sequence[str]) -> estimators.Estimator:
    try:
        return estimators.load(path, own_types, entry.task)
    except MlopsError:
        raise
    except BaseException as error:  # of a library that reads the file, which a trial read before
        raise ModelFailedError(
            f"{entry.model} {entry.version} cannot be loaded ({type(error).__name__}: {error}); save it anew"
        ) from error
