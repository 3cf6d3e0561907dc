"""The warm process: reads jobs, forks a child for each, holds the child to its limits, and reports.

The child names each step before it begins it: if the child dies silently, the step at which it died is known.
"""

import ctypes
import gc
import os
import resource
import select
import signal
import sys
import time
import warnings
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, NoReturn, TypeAlias

import orjson

from mlops_dagster.documents.texts import plain
from mlops_dagster.trial.report import Report, Verdict

Job: TypeAlias = Mapping[str, object]
Tell: TypeAlias = Callable[[str], None]
"""A function that the examination calls with the name of its next step, such as "loading it"."""
Examine: TypeAlias = Callable[[Job, Tell], Report]

IDLE_SECONDS: Final = 300.0
_LOOK_SECONDS: Final = 0.1
_PR_SET_PDEATHSIG: Final = 1
_PR_SET_CHILD_SUBREAPER: Final = 36


def serve(examine: Examine) -> NoReturn:
    """Make the trials that the parent asks for, until the parent is gone or has asked for none for some minutes."""
    jobs, reports = os.dup(0), os.dup(1)
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 1)
    os.nice(int(sys.argv[1]))
    _ask_kernel(_PR_SET_CHILD_SUBREAPER, 1)  # processes that a trial leaves behind become children of this process
    warnings.simplefilter("ignore")
    gc.freeze()
    while (job := _next(jobs)) is not None:
        report = _tried(examine, orjson.loads(job), jobs, reports)
        _end_children()
        os.write(reports, report.to_json() + b"\n")
    os._exit(0)


def _next(jobs: int) -> bytes | None:
    line = b""
    while not line.endswith(b"\n"):
        ready, _, _ = select.select([jobs], [], [], IDLE_SECONDS)
        part = os.read(jobs, 1 << 20) if ready else b""
        if not part:
            return None
        line += part
    return line


def _tried(examine: Examine, job: Job, jobs: int, reports: int) -> Report:
    limits = job["limits"]
    assert isinstance(limits, dict)
    told, tells = os.pipe()
    started = time.monotonic()
    child = os.fork()
    if child == 0:
        for descriptor in (jobs, reports, told):
            os.close(descriptor)
        _examined(examine, job, tells, limits)
    os.close(tells)
    try:
        words, usage, status = _watch(child, told, jobs, started + limits["seconds"])
    finally:
        os.close(told)
    seconds = time.monotonic() - started
    return _report(words, status, seconds, usage.ru_maxrss * 1024, limits)


def _watch(child: int, told: int, jobs: int, deadline: float) -> tuple[list[bytes], resource.struct_rusage, int | None]:
    """Return the child's messages, its resource usage, and its exit status: None if it was too slow and was killed."""
    words, listening, pause = b"", [told, jobs], _LOOK_SECONDS
    while True:
        ready, _, _ = select.select(listening, [], [], pause)
        if jobs in ready:  # nothing is sent before the report: this is the end of the parent
            os.kill(child, signal.SIGKILL)
            _end_children()
            os._exit(0)
        if told in ready:
            part = os.read(told, 1 << 16)
            words += part
            if not part:
                listening, pause = [jobs], _LOOK_SECONDS / 100
        ended, status, usage = os.wait4(child, os.WNOHANG)
        if ended:
            with suppress(BlockingIOError):
                os.set_blocking(told, False)
                words += os.read(told, 1 << 20)
            return words.splitlines(), usage, status
        if time.monotonic() > deadline:
            os.kill(child, signal.SIGKILL)
            _, _, usage = os.wait4(child, 0)
            return words.splitlines(), usage, None


def _examined(examine: Examine, job: Job, tells: int, limits: Mapping[str, float]) -> NoReturn:
    """Examine a version in the forked child within `limits`, write steps and report to the pipe `tells`, and exit."""
    os.setsid()
    own = os.getpid()
    _ask_kernel(_PR_SET_PDEATHSIG, signal.SIGKILL)
    signal.alarm(int(limits["seconds"]) + 10)  # for systems where the kernel cannot be asked
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")
    os.dup2(1, 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    limit = _data_bytes() + int(limits["memory_bytes"])
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))

    def tell(step: str) -> None:
        if os.getpid() != own:
            os.write(tells, orjson.dumps({"twin": True}) + b"\n")
            os._exit(0)
        os.write(tells, orjson.dumps({"step": step}) + b"\n")

    try:
        report = examine(job, tell)
    except MemoryError:
        os.write(tells, orjson.dumps({"memory": True}) + b"\n")
        os._exit(1)
    except BaseException:
        os._exit(1)
    if os.getpid() == own:
        os.write(tells, orjson.dumps({"report": report}) + b"\n")
    os._exit(0)


def _report(words: list[bytes], status: int | None, seconds: float, memory: int, limits: Mapping[str, float]) -> Report:
    told = [found for word in words if (found := _read(word))]
    step = next((word["step"] for word in reversed(told) if "step" in word), "beginning")
    last: dict[str, Any] = next((word for word in reversed(told) if "step" not in word), {})
    verdict = Verdict.REFUSED
    if status is None:
        verdict = Verdict.UNFINISHED
        reason = (
            f"it was not done with {step} after {limits['seconds']:g} s; make it faster, or set MLOPS_TRIAL_SECONDS"
        )
    elif any("twin" in word for word in told):
        reason = f"it forks the process while {step}, and both go on; a server would answer twice"
    elif "report" in last:
        found = last["report"]
        return Report(Verdict(found["verdict"]), plain(found["reason"]), tuple(found["notes"]), seconds, memory)
    elif "memory" in last:
        reason = (
            f"it needs more than {int(limits['memory_bytes']) >> 20} MB of memory for {step}; make it smaller, or set "
            "MLOPS_TRIAL_MEMORY_MB"
        )
    elif os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
        verdict = Verdict.UNFINISHED
        reason = f"it was killed while {step}, with {memory >> 20} MB in use: the machine may be out of memory"
    elif os.WIFSIGNALED(status):
        name = signal.Signals(os.WTERMSIG(status)).name
        reason = (
            f"it crashed with {name} while {step}, with {memory >> 20} MB in use; its file is damaged, or was "
            "made with other versions of its libraries: make it anew with those that are installed here"
        )
    else:
        code = os.WEXITSTATUS(status)
        reason = f"it ended its process with exit code {code} while {step}; a server would end with it"
    return Report(verdict, reason, (), seconds, memory)


def _read(word: bytes) -> dict[str, Any]:
    try:
        found: dict[str, Any] = orjson.loads(word)
    except orjson.JSONDecodeError:  # the child was killed while it wrote the message
        return {}
    return found


def _end_children() -> None:
    """Kill every process that a trial left running."""
    children = Path(f"/proc/self/task/{os.getpid()}/children")
    with suppress(OSError, ChildProcessError):
        while left := children.read_text().split():
            for child in left:
                with suppress(ProcessLookupError):
                    os.kill(int(child), signal.SIGKILL)
                os.waitpid(int(child), 0)


def _data_bytes() -> int:
    """Return the bytes that RLIMIT_DATA counts for this process: its private, writable memory."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmData:"):
            return int(line.split()[1]) * 1024
    sys.exit("trials need Linux's /proc")


def _ask_kernel(option: int, value: int) -> None:
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)
