"""Syncing of files and folders: a loss of power spares synced bytes under names whose folders were synced."""

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path


def sync(path: Path) -> None:
    """Sync the bytes of a file, or the names in a folder. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_files(files: Iterable[Path]) -> None:
    """Sync the bytes of files, and then the folders that name them. Raises OSError."""
    files = sorted(set(files))
    for file in files:
        sync(file)
    for folder in sorted({file.parent for file in files}):
        sync(folder)


def sync_folders(folder: Path) -> None:
    """Sync the names in a folder and in each folder above it, which may have been made together with it."""
    for each in (folder, *folder.absolute().parents):
        with suppress(PermissionError):  # a folder that this process may not open was not made by it
            sync(each)
