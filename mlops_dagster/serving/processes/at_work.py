"""Marks of the versions that a worker is loading or scoring, in a file that outlives the worker.

A worker marks a byte of a shared file before a version runs, and clears it afterwards: two writes to memory a batch.
When the worker has died, the supervisor reads the file, and faulthandler's dump of the thread that crashed.
"""

import mmap
import re
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import orjson

SLOTS: Final = 1 << 16
"""The number of pairs of a version and a thread that can be marked; further pairs are not."""
_CRASHED: Final = re.compile(r"^Current thread 0x([0-9a-f]+) ", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Work:
    """A version that a thread was loading or scoring when the worker died."""

    model: str
    version: str
    trial: str
    """The name of the file that keeps the report of its trial."""
    thread: int
    """The thread's number from `threading.get_ident`."""


class Marks:
    """The marks of one worker; without a file nothing is marked."""

    def __init__(self, file: Path | None) -> None:
        self._given = 0
        self._giving = threading.Lock()
        self._bytes = None
        if file is not None:
            self._names = file.with_suffix(".names").open("wb", buffering=0)
            with file.open("wb+") as opened:
                opened.truncate(SLOTS)
                self._bytes = mmap.mmap(opened.fileno(), SLOTS)

    def of(self, model: str, version: str, trial: str) -> AbstractContextManager[object]:
        """Return the mark of a version, which any thread holds while it loads the version or scores with it."""
        if self._bytes is None:
            return nullcontext()
        return _Mark(self._bytes, lambda thread: self._slot(Work(model, version, trial, thread)))

    def _slot(self, work: Work) -> int:
        """Return the byte of a version and thread; all pairs that find no other byte share the last one."""
        with self._giving:
            slot = self._given
            if slot < SLOTS - 1:
                self._names.write(orjson.dumps(work) + b"\n")
                self._given += 1
            return slot


class _Mark:
    def __init__(self, marks: mmap.mmap, slot_of: Callable[[int], int]) -> None:
        self._marks = marks
        self._slot_of = slot_of
        self._slots: dict[int, int] = {}

    def __enter__(self) -> None:
        thread = threading.get_ident()
        slot = self._slots.get(thread)
        if slot is None:
            slot = self._slots[thread] = self._slot_of(thread)
        self._marks[slot] = 1

    def __exit__(self, *_: object) -> None:
        self._marks[self._slots[threading.get_ident()]] = 0


def traces(folder: Path, process: str) -> tuple[Path, Path]:
    """Return the files that a worker leaves behind: faulthandler's dump if it crashes, and its marks."""
    return folder / f"{process}.crash", folder / f"{process}.work"


def at_work(file: Path) -> list[Work]:
    """Return what a dead worker was loading or scoring, by its file of marks; empty if it has marked nothing."""
    try:
        names, marks = file.with_suffix(".names").read_bytes().splitlines(), file.read_bytes()
    except OSError:
        return []
    return [Work(**orjson.loads(name)) for name, mark in zip(names, marks, strict=False) if mark]


def crashed_thread(dump: str) -> int | None:
    """Return the thread that crashed, by faulthandler's dump; None if it is not a thread of Python."""
    found = _CRASHED.search(dump)
    return None if found is None else int(found.group(1), 16)
