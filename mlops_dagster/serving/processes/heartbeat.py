"""What ties a process of the data plane to its supervisor: it says that it lives, and ends when it is let go."""

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
    """Two pipes to the supervisor, as descriptors; they are named on the command line.

    `held` has nothing to read and ends when the supervisor lets go, or is gone however that came about.
    """

    held: int
    signs: int

    def arguments(self) -> list[str]:
        return [str(self.held), str(self.signs)]

    def beat(self, process: str) -> None:
        """A sign of life. A supervisor that is gone is noticed at the other pipe."""
        try:
            os.write(self.signs, orjson.dumps({"pid": os.getpid(), "process": process}) + b"\n")
        except (BrokenPipeError, BlockingIOError):
            logger.debug("nobody reads the signs of life")

    def wait(self) -> None:
        """Return when the supervisor lets go."""
        os.read(self.held, 1)

    def when_let_go(self, then: Callable[[], None]) -> None:
        """Call `then`, in a thread of its own, when the supervisor lets go."""

        def watch() -> None:
            self.wait()
            then()

        threading.Thread(target=watch, name="leash", daemon=True).start()


class _WithoutSecrets(logging.Formatter):
    """Lines and tracebacks without passwords: those of other libraries may quote a URL."""

    def format(self, record: logging.LogRecord) -> str:
        return without_secrets(super().format(record))


def log_to_stderr() -> None:
    """Every process of the data plane says its lines in the same way."""
    handler = logging.StreamHandler()
    handler.setFormatter(_WithoutSecrets("%(asctime)s %(levelname)s %(process)d %(name)s: %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])


def child_main(work: Callable[[ProcessHeartbeat, list[str]], None]) -> NoReturn:
    """Run a process of the data plane: `work` is given its leash and what else stands on the command line.

    It ends at once when `work` is done: threads that hang keep nobody.
    """
    log_to_stderr()
    faulthandler.enable()  # the supervisor asks a process that hangs where it does, with SIGABRT
    held, signs, *others = sys.argv[1:]
    code = 0
    try:
        work(ProcessHeartbeat(int(held), int(signs)), others)
    except MlopsError as error:
        logger.error("%s: %s", error.code, error)  # the reason says it all
        code = 1
    except BaseException:
        logger.exception("ended by what should not have happened")
        code = 1
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
