"""Errors of the Delta library as errors of the log. Imports pyarrow and deltalake."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
from deltalake.exceptions import DeltaError

from mlops_dagster.errors import CorruptedError, MlopsError, StorageError
from mlops_dagster.extras import is_panic
from mlops_dagster.predictions.log.delta import commits
from mlops_dagster.predictions.log.location import TableAddress


@contextmanager
def storage_errors(verb: str, at: TableAddress) -> Iterator[None]:
    """Translate errors of deltalake into StorageError, or into CorruptedError for a file that is gone or damaged."""
    try:
        yield
    except MlopsError:
        raise
    except (FileNotFoundError, pa.ArrowInvalid) as error:
        raise CorruptedError(
            f"a file of the log at {at.uri} is gone or damaged: {_line(error)}; if it was erased just now, try again, "
            "else `mlops predictions audit` names what is lost"
        ) from error
    except (DeltaError, OSError) as error:
        if at.options is None and (found := commits.damage(Path(at.uri))) is not None:
            raise CorruptedError(
                f"cannot {verb} the log at {at.uri}: {found}; `mlops serve` mends it where that loses nothing when it "
                "ships to it next, and else says how to go on"
            ) from error
        raise StorageError(
            f"cannot {verb} the log at {at.uri}: {_line(error)}; nothing is lost, it will be tried again"
        ) from error
    except BaseException as error:
        if not is_panic(error):
            raise
        raise StorageError(
            f"cannot {verb} the log at {at.uri}: the Delta library broke off ({_line(error)}); nothing is lost, it "
            "will be tried again"
        ) from error


def _line(error: BaseException) -> str:
    return " ".join(str(error).replace("\x1b[31m↳\x1b[0m", "").split())
