"""The subject of a trial: the bytes of a version, its schema, and its baseline."""

import hashlib
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Final

import orjson

from mlops_dagster.schema import ModelSchema

_LIBRARIES: Final = (
    "catboost", "lightgbm", "mlops-dagster", "numpy", "onnx", "onnxruntime", "pandas", "scikit-learn", "scipy", "skops",
    "xgboost", "xgboost-cpu",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of a trial in seconds and bytes of memory, and of scoring one row in seconds."""

    seconds: float
    memory_bytes: int
    row_seconds: float


@dataclass(frozen=True, slots=True)
class Subject:
    """A version that can be served; `baseline` has the form that `Baseline.to_json` writes."""

    model: str
    version: str
    digest: str
    schema: ModelSchema
    baseline: Mapping[str, object] | None

    def key(self, limits: Limits, own_types: Sequence[str]) -> str:
        """Return the trial's name; it depends on bytes, schema, baseline, limits, types, libraries and processor."""
        baseline = orjson.dumps(self.baseline, option=orjson.OPT_SORT_KEYS).decode()
        parts = (self.digest, self.schema.digest, baseline, repr(limits), *own_types, environment())
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()

    def job(self, path: Path, limits: Limits, own_types: Sequence[str]) -> bytes:
        """Return the line that tells a trial process to try the artifact at `path`, which may hold `own_types`."""
        return orjson.dumps(
            {
                "path": str(path.absolute()),
                "version": self.version,
                "schema": self.schema.model_dump(mode="json"),
                "baseline": self.baseline,
                "limits": limits,
                "own_types": list(own_types),
            }
        )


@cache
def environment() -> str:
    """Return the environment on which a version's behaviour depends: Python, libraries and processor."""
    versions = (f"{name}=={_version(name)}" for name in _LIBRARIES)
    return " ".join((platform.python_version(), platform.machine(), _processor(), *versions))


def _version(library: str) -> str:
    try:
        return metadata.version(library)
    except metadata.PackageNotFoundError:  # boosters are extras
        return ""


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:  # not Linux
        return platform.processor()
    return next((line for line in lines if line.startswith("model name")), "")
