"""The folder that holds everything of the embedded default."""

import os
import re
import threading
from pathlib import Path

from mlops_dagster.errors import HomeNotWritableError
from mlops_dagster.storage.durable import sync_folders
from mlops_dagster.storage.private import tighten, write_privately

_SCHEME = re.compile(r"(s3|file|https?|gs|abfss?|azure|mlflow):/", re.IGNORECASE)


def make_writable(home: Path, *, alone: bool = True) -> None:
    """Make the home if needed, and close it, and all that this process writes from now on, to other users.

    With `alone` false the folder may hold files of others: these, and the folder itself, keep their permissions.

    Raises HomeNotWritableError if nothing can be written in the home, or if it is a URL.
    """
    if _SCHEME.match(str(home)):
        raise HomeNotWritableError(
            f"MLOPS_HOME {str(home)!r} is a URL, not a folder; for S3 set MLOPS_STORAGE_URL and MLOPS_LOG_URL"
        )
    probe = home / f".probe-{os.getpid()}-{threading.get_ident()}"
    write_privately()
    try:
        if not home.is_dir():
            home.mkdir(parents=True, exist_ok=True)
            sync_folders(home)
        probe.touch()
        probe.unlink()
        tighten(home, alone=alone)
    except (OSError, ValueError) as error:  # ValueError: no path has such characters
        raise HomeNotWritableError(
            f"cannot write to MLOPS_HOME {str(home)!r} ({getattr(error, 'strerror', error)}); "
            "make it writable or set MLOPS_HOME to another folder"
        ) from error
