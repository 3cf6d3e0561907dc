"""Heartbeat and shutdown pipes between a data-plane process and its supervisor."""

import faulthandler
import logging
import os
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn

import orjson

from mlops_dagster.errors import MlopsError
from mlops_dagster.urls import without_secrets

logger = logging.getLogger(__name__)

BEAT_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class ProcessHeartbeat:
    """Two pipes to the supervisor, as descriptors, which are given on the command line.

    `signs` takes signs of life. Nothing is ever written to `held`; it ends when the supervisor lets the process go, or
    is gone for any reason.
    """

    held: int
    signs: int

    def arguments(self) -> list[str]:
        return [str(self.held), str(self.signs)]

    def beat(self, process: str) -> None:
        """Send a sign of life; that the supervisor is gone is noticed at the other pipe, not here."""
        try:
            os.write(self.signs, orjson.dumps({"pid": os.getpid(), "process": process}) + b"\n")
        except (BrokenPipeError, BlockingIOError):
            logger.debug("the supervisor does not read the signs of life")

    def wait(self) -> None:
        """Return when the supervisor lets this process go, or is gone."""
        os.read(self.held, 1)

    def when_let_go(self, then: Callable[[], None]) -> None:
        """Call `then`, in a new thread, when the supervisor lets this process go, or is gone."""

        def watch() -> None:
            self.wait()
            then()

        threading.Thread(target=watch, name="leash", daemon=True).start()


class _WithoutSecrets(logging.Formatter):
    """A formatter that hides passwords in lines and tracebacks: those of other libraries may quote a URL."""

    def format(self, record: logging.LogRecord) -> str:
        return without_secrets(super().format(record))


def log_to_stderr() -> None:
    """Log to stderr, in one format for all processes of the data plane."""
    handler = logging.StreamHandler()
    handler.setFormatter(_WithoutSecrets("%(asctime)s %(levelname)s %(process)d %(name)s: %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])


def child_main(work: Callable[[ProcessHeartbeat, list[str]], None]) -> NoReturn:
    """Run a process of the data plane: `work` gets its heartbeat and the other arguments of the command line.

    The process ends at once when `work` is done, even if other threads hang.
    """
    log_to_stderr()
    faulthandler.enable()  # the supervisor sends SIGABRT to a process that hangs, to see where it does
    held, signs, *others = sys.argv[1:]
    code = 0
    try:
        work(ProcessHeartbeat(int(held), int(signs)), others)
    except MlopsError as error:
        logger.error("%s: %s", error.code, error)  # no traceback: the reason is enough
        code = 1
    except BaseException:
        logger.exception("the process ends because of an unexpected error")
        code = 1
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
