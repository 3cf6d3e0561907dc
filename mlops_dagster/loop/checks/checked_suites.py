"""The check, when its YAML is loaded, that a suite edited by people can be evaluated at all."""

import hashlib
import importlib.util
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path

from mlops_dagster.loop.spec import ModelSpec
from mlops_dagster.monitoring.validation.expectations.document import check_suite_file, read_suite
from mlops_dagster.retraining.trainer import load_trainer
from mlops_dagster.settings import Settings


def with_suite(spec: ModelSpec, folder: Path) -> ModelSpec:
    """Make the suite's path absolute, from the YAML's folder; raises InvalidSuiteError if it can never be evaluated."""
    if spec.validation.suite is None:
        return spec
    file = folder.absolute() / spec.validation.suite
    _check_suite(file, spec.trainer)
    return spec.model_copy(update={"validation": spec.validation.model_copy(update={"suite": file})})


def _check_suite(file: Path, trainer: str) -> None:
    """Raise InvalidSuiteError for a file that is not a suite, or that no batch of the trainer's schema can answer.

    The check imports Great Expectations, which takes seconds, and each Dagster run loads the YAML: so the digest of a
    sound file and of the trainer's module is noted in the home, and the file is not evaluated again.
    """
    check_suite_file(file)
    noted = Settings().home / "checked_suites" / _digest(file, trainer)
    if noted.exists():
        return
    read_suite(file, load_trainer(trainer).SCHEMA)
    with suppress(OSError):  # if the home is not writable, the file is evaluated each time
        noted.parent.mkdir(parents=True, exist_ok=True)
        noted.touch()


def _digest(file: Path, trainer: str) -> str:
    module = importlib.util.find_spec(trainer)
    source = Path(module.origin).read_bytes() if module is not None and module.origin else b""
    parts = (file.read_bytes(), source, version("great_expectations").encode())
    return hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()
