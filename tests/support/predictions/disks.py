"""Disks that lose power: what was not synced is gone from them.

The real one is an ext4 in a file, shut down as if the power had failed; it needs root and a loop device. Elsewhere a
folder stands for it, of which only that is kept which a process gave to `os.fsync`: bytes of files, names in folders.
SQLite does not sync through Python: its files are kept as they are, so there its own promise is taken for granted.
"""

import fcntl
import json
import os
import shutil
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol

_EXT4_SHUTDOWN, _WITHOUT_THE_JOURNAL = 0x8004587D, 2
_KEPT = "TEST_KEPT_BY_SYNC"


class Disk(Protocol):
    path: Path
    environment: dict[str, str]  # for the processes that use it

    def cut(self) -> None:
        """Lose power; whoever writes from here on fails, or is killed by the caller before `restore`."""

    def restore(self) -> None:
        """Have power again."""


@contextmanager
def a_disk(folder: Path, *, real: bool = True) -> Iterator[Disk]:
    """A real one, if that is wanted and can be had."""
    folder.mkdir()
    loop = None
    if real:
        with suppress(OSError, subprocess.CalledProcessError):  # not root, or no loop devices
            loop = LoopDisk(folder)
    if loop is None:
        yield SyncedFolder(folder)
        return
    try:
        yield loop
    finally:
        loop.unmount()


class LoopDisk:
    def __init__(self, folder: Path) -> None:
        self.path, self._image = folder / "disk", folder / "image"
        self.environment: dict[str, str] = {}
        self.path.mkdir()
        self._image.touch()
        os.truncate(self._image, 1 << 30)
        _run("mkfs.ext4", "-q", str(self._image))
        self.restore()

    def restore(self) -> None:
        if self.path.is_mount():
            self.unmount()
        # The kernel writes nothing by itself within the minutes of a test.
        _run("mount", "-o", "loop,commit=600", str(self._image), str(self.path))

    def cut(self) -> None:
        descriptor = os.open(self.path, os.O_RDONLY)
        try:
            fcntl.ioctl(descriptor, _EXT4_SHUTDOWN, struct.pack("I", _WITHOUT_THE_JOURNAL))
        finally:
            os.close(descriptor)

    def unmount(self) -> None:
        _run("umount", "--lazy", str(self.path))  # a test that failed may hold files


class SyncedFolder:
    def __init__(self, folder: Path) -> None:
        self.path, self._kept = folder / "disk", folder / "kept"
        self.environment = {_KEPT: str(self._kept)}
        self.path.mkdir(exist_ok=True)
        self._kept.mkdir()

    def cut(self) -> None:
        """What is written until the processes are killed may survive, if it is synced: power fails a little later."""

    def restore(self) -> None:
        lost = self.path.rename(self.path.with_name("lost"))
        self._rebuild(lost, self.path)
        shutil.rmtree(lost)

    def _rebuild(self, old: Path, new: Path) -> None:
        new.mkdir()
        for file in old.iterdir():
            if ".sqlite" in file.name:
                shutil.copy2(file, new)
        names = self._kept / f"{old.stat().st_ino}.names"
        for name, inode in json.loads(names.read_text()).items() if names.exists() else ():
            content = self._kept / f"{inode}.bytes"
            if ".sqlite" in name:
                continue
            if (old / name).is_dir():
                self._rebuild(old / name, new / name)
            elif content.exists():
                shutil.copy(content, new / name)
            else:
                (new / name).touch()
        self._keep_names(new)

    def _keep_names(self, folder: Path) -> None:
        _keep(folder, self._kept)
        for file in folder.iterdir():
            if file.is_file():
                _keep(file, self._kept)


def keep_what_is_synced() -> None:
    """In a process that uses a SyncedFolder: note what it syncs."""
    if (kept := os.environ.get(_KEPT)) is None:
        return
    fsync = os.fsync

    def noted(descriptor: int) -> None:
        fsync(descriptor)
        _keep(Path(f"/proc/self/fd/{descriptor}").readlink(), Path(kept))

    os.fsync = noted


def _keep(path: Path, kept: Path) -> None:
    inode = path.stat().st_ino
    unfinished = kept / f".{os.getpid()}"
    if path.is_dir():
        unfinished.write_text(json.dumps({file.name: file.stat().st_ino for file in path.iterdir()}))
        unfinished.replace(kept / f"{inode}.names")
    else:
        shutil.copy(path, unfinished)
        unfinished.replace(kept / f"{inode}.bytes")


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)
