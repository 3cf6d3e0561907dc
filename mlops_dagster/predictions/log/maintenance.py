"""Lease of a log: one maintainer (compaction, erasure, repair) at a time, on all machines that share the log.

The lease is stored where the log is, because every maintainer reaches that place: a lock on a file, or an object of S3
that is written on condition. The lease only saves work. It does not protect rows from being doubled or lost, because a
holder that stood still for an hour goes on as if it still had the lease: `upkeep.fenced` protects them.
"""

import fcntl
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import orjson

from mlops_dagster.errors import AlreadyRunningError, StorageError
from mlops_dagster.predictions.log.location import LogLocation

LEASE_SECONDS = 60.0
"""Time without renewal after which the holder of a lease on S3 is taken for dead."""

MAINTAINER_SECONDS = 300.0
"""The longest time that a command waits for another maintainer."""

_NAME = "maintainer.json"
_LOOK_SECONDS = 0.2


@contextmanager
def maintaining(place: LogLocation, *, wait_seconds: float = 0.0) -> Iterator[None]:
    """Hold the lease of a log until the end of the block; wait for it at most `wait_seconds`.

    Raises StorageError, and AlreadyRunningError, which names the holder.
    """
    folder = place.folder
    with _locked(folder, wait_seconds) if folder is not None else _leased(place, wait_seconds):
        yield


@contextmanager
def _locked(folder: Path, wait_seconds: float) -> Iterator[None]:
    path = folder / _NAME
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = path.open("a+b")
    except OSError as error:
        raise StorageError(f"cannot open {path} ({error.strerror}); make the folder writable") from error
    with file:
        deadline = time.monotonic() + wait_seconds
        while not _lock(file.fileno()):
            if time.monotonic() >= deadline:
                file.seek(0)
                raise _held_by(place=str(folder), holder=_holder(file.read()))
            time.sleep(_LOOK_SECONDS)
        file.truncate(0)
        file.write(_content(0))
        file.flush()
        yield


def _lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def _leased(place: LogLocation, wait_seconds: float) -> Iterator[None]:
    deadline = time.monotonic() + wait_seconds
    while (tag := _take(place)) is None:
        if time.monotonic() >= deadline:
            content = place.read(_NAME)
            raise _held_by(place.address, _holder(content.body if content is not None else b""))
        time.sleep(_LOOK_SECONDS)
    done = threading.Event()
    tags = [tag]
    renewing = threading.Thread(target=_renew, args=(place, tags, done), name="maintenance lease", daemon=True)
    renewing.start()
    try:
        yield
    finally:
        done.set()
        renewing.join()
        place.replace(_NAME, b"{}", expected=tags[-1])  # frees it, unless another holder has it


def _take(place: LogLocation) -> str | None:
    """Take the lease and return its tag; None if another process holds it."""
    found = place.read(_NAME)
    if found is not None and _holder(found.body) is not None and found.age_seconds < LEASE_SECONDS:
        return None
    return place.replace(_NAME, _content(0), expected=found.tag if found is not None else None)


def _renew(place: LogLocation, tags: list[str], done: threading.Event) -> None:
    number = 0
    while not done.wait(LEASE_SECONDS / 4):
        number += 1
        try:
            tag = place.replace(_NAME, _content(number), expected=tags[-1])
        except StorageError:
            continue  # S3 is away, so no other process can take the lease
        if tag is None:
            return  # another process has it: changes begun here are refused at their commit
        tags.append(tag)


def _content(number: int) -> bytes:
    return orjson.dumps({"holder": f"process {os.getpid()} on {socket.gethostname()}", "renewed": number})


def _holder(content: bytes) -> str | None:
    try:
        holder: str | None = orjson.loads(content).get("holder")
    except (orjson.JSONDecodeError, AttributeError):
        return None
    return holder


def _held_by(place: str, holder: str | None) -> AlreadyRunningError:
    return AlreadyRunningError(
        f"the log at {place} is being compacted, erased from or repaired by {holder or 'another process'}; "
        "try again when that is done"
    )
