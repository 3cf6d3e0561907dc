"""The lock of a home, for one server per home; the lock ends with the process that holds it, even if that is killed."""

import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import orjson

from mlops_dagster.errors import AlreadyRunningError, StorageError
from mlops_dagster.settings import Settings

LOCK = "serving.lock"
"""The name of the lock's file. Its content is for the message to a second server, and stays when the lock is gone."""


@contextmanager
def only_server(settings: Settings) -> Iterator[None]:
    """Hold the lock of the home, which must exist, until the end of the block.

    Raises StorageError, and AlreadyRunningError, which names the process that holds the lock, and its address.
    """
    path = settings.home / LOCK
    try:
        file = path.open("a+b")
    except OSError as error:
        raise StorageError(f"cannot open {path} ({error.strerror}); make the folder writable") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            raise AlreadyRunningError(
                f"MLOPS_HOME {str(settings.home)!r} is served by {_holder(file.read(), settings.address_path)}; "
                "use that server, stop it, or set MLOPS_HOME to another folder"
            ) from error
        file.truncate(0)
        file.write(orjson.dumps({"pid": os.getpid(), "machine": socket.gethostname()}))
        file.flush()
        yield


def _holder(content: bytes, address_path: Path) -> str:
    try:
        holder = orjson.loads(content)
        name = f"process {holder['pid']} on {holder['machine']}"
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return "a process that is starting"
    try:
        address = orjson.loads(address_path.read_bytes())
        if address["pid"] == holder["pid"]:
            return f"{name} at {address['host']} port {address['port']}"
    except (OSError, orjson.JSONDecodeError, KeyError, TypeError):
        pass  # no address yet, or that of a server that was killed
    return f"{name}, which is starting"
