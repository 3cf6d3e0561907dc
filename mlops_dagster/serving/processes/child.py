"""A child process of the data plane, as its supervisor sees it."""

import contextlib
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence

logger = logging.getLogger(__name__)

_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 10.0
_HAS_LIVED_SECONDS = 30.0  # a process that ran this long did not die of a fault at its start
_LAST_WORDS_SECONDS = 1.0


class Child:
    """A child process, started afresh and never forked, so that it has nothing of the parent's memory or locks."""

    def __init__(
        self, name: str, command: Sequence[str], descriptors: Sequence[int], environment: Mapping[str, str]
    ) -> None:
        self.name = name
        self.process: str | None = None
        """The name of the process in the prediction log; None until its first sign of life."""
        self.restarts = 0
        self._command = [sys.executable, "-m", *command]
        self._descriptors = descriptors
        self._environment = environment
        self._popen: subprocess.Popen[bytes] | None = None
        self._started_at = self._heard_at = 0.0
        self._due_at: float | None = None
        self._pause = 0.0
        self.killed = False
        """Whether `kill` was called since the last start."""

    @property
    def pid(self) -> int | None:
        return self._popen.pid if self._popen is not None else None

    def start(self) -> None:
        self.process, self._due_at, self.killed = None, None, False
        self._started_at = time.monotonic()
        self._popen = subprocess.Popen(  # noqa: S603  # our own program
            [*self._command, str(self.restarts)],
            env={**os.environ, **self._environment},
            pass_fds=self._descriptors,
            stdin=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is for the supervisor
        )

    def ended(self) -> int | None:
        """Return the exit code of the process; None while it runs."""
        return self._popen.poll() if self._popen is not None else None

    def lives(self, process: str) -> None:
        """Note a sign of life of the process, which is called `process` in the prediction log."""
        self.process = process
        self._heard_at = time.monotonic()

    def is_silent(self, seconds: float) -> bool:
        """Return whether the process runs, but has given no sign of life for `seconds` since an earlier one."""
        return self.process is not None and self.ended() is None and time.monotonic() - self._heard_at > seconds

    def died_just_now(self) -> bool:
        """Return whether the process has ended, and `restart_if_due` was not called for that yet."""
        return self.ended() is not None and self._due_at is None

    def restart_if_due(self, code: int) -> None:
        """Start the process again once its pause is over; the pause doubles each time if the process dies quickly."""
        now = time.monotonic()
        if self._due_at is None:
            quick = now - self._started_at < _HAS_LIVED_SECONDS
            self._pause = min(max(self._pause * 2, _FIRST_PAUSE), _LONGEST_PAUSE) if quick else _FIRST_PAUSE
            self._due_at = now + self._pause
            self.process = None
            logger.error(
                "%s (process %s) ended with code %d; it is started again in %g s",
                self.name, self.pid, code, self._pause,
            )  # fmt: skip
        if now >= self._due_at:
            self.restarts += 1
            self.start()

    def kill(self, reason: str) -> None:
        """End the process at once, after it has dumped the stacks of its threads."""
        if self._popen is None or self.ended() is not None:
            return
        logger.error("%s (process %d) is killed: %s", self.name, self._popen.pid, reason)
        self.killed = True
        self._popen.send_signal(signal.SIGABRT)
        if not self.wait(_LAST_WORDS_SECONDS):
            self._popen.kill()
            self.wait(_LAST_WORDS_SECONDS)

    def wait(self, seconds: float | None) -> bool:
        """Wait for the end of the process, up to `seconds` (None: for ever); return whether it has ended."""
        if self._popen is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._popen.wait(None if seconds is None else max(seconds, 0.0))
        return self._popen is None or self.ended() is not None
