"""Several long-running programs that start and end together; the folder of Dagster's instance, and a port for it."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import FrameType

from mlops_dagster.errors import HomeNotWritableError, ServerError

GRACE_SECONDS = 15
_INSTANCE = "dagster.yaml"


def dagster_home(home: Path) -> Path:
    """Return the folder of Dagster's instance, DAGSTER_HOME or `home`/dagster; make it if needed.

    A folder without a `dagster.yaml` gets ours, which keeps run slots free for rollbacks. Without a folder, `dagster
    dev` would forget its runs when it ends. Raises HomeNotWritableError.
    """
    folder = Path(os.environ.get("DAGSTER_HOME") or home / "dagster").absolute()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / _INSTANCE).exists():
            shutil.copyfile(Path(__file__).parent / _INSTANCE, folder / _INSTANCE)
    except OSError as error:
        raise HomeNotWritableError(
            f"cannot write to DAGSTER_HOME {str(folder)!r} ({error.strerror}); make it writable or name another folder"
        ) from error
    return folder


def free_port(usual: int) -> int:
    """Return `usual` if nothing of this machine listens on it, else a port that is free now."""
    with suppress(OSError), socket.create_server(("127.0.0.1", usual)):
        return usual
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def run_together(commands: Sequence[Sequence[str]], variables: Mapping[str, str]) -> int:
    """Run the commands (programs of this environment) until one ends or a signal comes; then end them all.

    `variables` are set in their environment.

    Returns the exit code of the first command that failed; 0 if none did, or if a signal asked for the end.
    Raises ServerError if a command does not end within GRACE_SECONDS.
    """
    stopped = False

    def stop(_signal: int, _frame: FrameType | None) -> None:
        nonlocal stopped
        stopped = True
        for process in processes:
            process.terminate()

    programs = Path(sys.executable).parent
    environment = os.environ | variables
    processes: list[subprocess.Popen[bytes]] = []
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, stop)
    try:
        for program, *arguments in commands:
            # A new session each: Ctrl-C reaches them through `stop`, once, and not from the terminal as well.
            command = [str(programs / program), *arguments]
            processes.append(subprocess.Popen(command, env=environment, start_new_session=True))  # noqa: S603  # our own programs
        _wait_for_any(processes)
    finally:
        _end(processes)
    failed = [process.returncode for process in processes if process.returncode > 0]
    return 0 if stopped or not failed else failed[0]


def _wait_for_any(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    while all(process.poll() is None for process in processes):
        time.sleep(0.1)


def _end(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    for process in processes:
        process.terminate()
    for process in processes:
        try:
            process.wait(timeout=GRACE_SECONDS)
        except subprocess.TimeoutExpired as error:
            process.kill()
            raise ServerError(f"{process.args!r} did not end within {GRACE_SECONDS} s and was killed") from error
