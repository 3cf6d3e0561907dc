"""Estimators as skops files: unlike a pickle, loading one runs only code on a list."""

from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import TypeVar, cast

from mlops_dagster.errors import InvalidInputError, MlopsError, UnsafeArtifactError
from mlops_dagster.extras import extra_of, missing
from mlops_dagster.registry.estimators.bounds import check_bounds
from mlops_dagster.registry.estimators.estimator import Estimator
from mlops_dagster.registry.estimators.trusted import TRUSTED, not_trusted, untrusted

_T = TypeVar("_T")


def save(estimator: object, path: Path, trusted: Collection[str] = ()) -> Path:
    """Write the estimator to `path` and return the path; `trusted` are the operator's own types beyond `TRUSTED`.

    Two dumps of one estimator differ in their bytes: dump once, and register that file.
    Raises UnsafeArtifactError if `load` would refuse types in it, InvalidInputError if it cannot be written.
    """
    from zipfile import ZIP_DEFLATED

    import skops.io

    name = type(estimator).__name__
    _written(name, lambda: skops.io.dump(estimator, path, compression=ZIP_DEFLATED))
    types = untrusted(_types_beyond_skops(path), trusted)
    if types:
        path.unlink()
        raise UnsafeArtifactError(not_trusted(name, types))
    return path


def untrusted_types(estimator: object, trusted: Collection[str] = ()) -> list[str]:
    """Return the types in an estimator, fitted or not, that `save` would refuse; raises InvalidInputError too."""
    import skops.io

    dumped = _written(type(estimator).__name__, lambda: skops.io.dumps(estimator))
    return untrusted(skops.io.get_untrusted_types(data=dumped), trusted)


def load_skops(file: Path, trusted: Collection[str] = ()) -> Estimator:
    """Return the estimator in a skops file; `trusted` are the operator's own types beyond `TRUSTED`.

    Raises UnsafeArtifactError if it holds types that are not trusted, or indices outside of its arrays;
    InvalidInputError if it is not a skops file, or cannot be loaded here; MissingExtraError if a booster is missing.
    """
    import skops.io

    types = untrusted(_types_beyond_skops(file), trusted)
    if types:
        raise UnsafeArtifactError(not_trusted(file.name, types))
    try:
        loaded = skops.io.load(file, trusted=[*TRUSTED, *trusted])
        check_bounds(loaded)
    except (MlopsError, MemoryError):
        raise
    except ImportError as error:
        if error.name and (extra := extra_of(error.name)):
            raise missing(extra, error.name, file.name) from error
        raise InvalidInputError(
            f"{file.name} needs the module {error.name or error}, which is not installed here; install it"
        ) from error
    except Exception as error:  # any error of the estimator's library
        raise InvalidInputError(
            f"{file.name} cannot be loaded ({type(error).__name__}: {error}); save it anew"
        ) from error
    return cast("Estimator", loaded)


def _written(name: str, dump: Callable[[], _T]) -> _T:
    try:
        return dump()
    except Exception as error:  # any error of an object in the estimator
        if isinstance(error, MlopsError | OSError | MemoryError):
            raise
        raise InvalidInputError(
            f"{name} cannot be kept ({error}); skops keeps what scikit-learn, NumPy, SciPy and plain classes are "
            "made of, and other models are registered as an ONNX file"
        ) from error


def _types_beyond_skops(file: Path) -> Sequence[str]:
    import skops.io

    try:
        return cast("Sequence[str]", skops.io.get_untrusted_types(file=file))
    except MemoryError:
        raise
    except Exception as error:  # any error of zipfile, its unpackers and json
        raise InvalidInputError(
            f"{file.name} is not a skops file ({type(error).__name__}: {error}); `fetch` gives its bytes"
        ) from error
