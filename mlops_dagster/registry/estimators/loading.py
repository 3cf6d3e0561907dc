"""Loading of artifacts as estimators; the content tells the kind of file."""

import zipfile
from collections.abc import Collection
from pathlib import Path

from mlops_dagster.errors import InvalidInputError
from mlops_dagster.registry.estimators.estimator import Estimator
from mlops_dagster.registry.estimators.onnx_file import load_onnx
from mlops_dagster.registry.estimators.skops_file import load_skops
from mlops_dagster.tasks import UNKNOWN_TASK, Task

_SUFFIXES = frozenset({".skops", ".onnx"})


def load(path: Path, trusted: Collection[str] = (), task: Task = UNKNOWN_TASK) -> Estimator:
    """Return the estimator of `task` in a skops or ONNX file, or in the only `*.skops` or `*.onnx` file of a folder.

    `trusted` are the operator's own types beyond `TRUSTED`. Raises UnsafeArtifactError if it holds types that are not
    trusted or indices outside of its arrays; InvalidInputError if it is not such a file.
    """
    file = _model_file(path)
    # A file that is stored alone has lost its name. A skops file is always a zip archive, and an ONNX file never.
    return load_skops(file, trusted) if zipfile.is_zipfile(file) else load_onnx(file, task)


def _model_file(path: Path) -> Path:
    if not path.is_dir():
        return path
    files = [file for file in path.iterdir() if file.suffix in _SUFFIXES]
    if len(files) != 1:
        raise InvalidInputError(f"the artifact must have one *.skops or *.onnx file to be loaded, and has {len(files)}")
    return files[0]
