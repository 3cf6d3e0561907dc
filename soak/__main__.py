"""Run the attacks of this folder, each in a process of its own, and print what was tried and what broke.

    python -m soak [--minutes 60] [--only NAME] [--at-once]

In turn the attacks share the minutes; `--at-once` gives each of them all the minutes, on one machine together.
The exit code is 1 if an attack found a fault.
"""

import argparse
import os
import pkgutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).parents[1]
GRACE_SECONDS = 300
"""An attack that has not ended so long after its time hangs, which is a fault."""


@dataclass(frozen=True)
class Result:
    """One attack: for how long it ran, the lines it printed, and the fault it found ("" for none)."""

    name: str
    seconds: float
    tried: str
    fault: str


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60.0, help="for all attacks together")
    parser.add_argument("--only", action="append", choices=attacks(), help="one attack; may be repeated")
    parser.add_argument("--at-once", action="store_true", help="all attacks at the same time")
    options = parser.parse_args()
    names: Sequence[str] = options.only or attacks()
    at_once = len(names) if options.at_once else 1
    seconds = options.minutes * 60 * at_once / len(names)
    with ThreadPoolExecutor(at_once) as pool:
        results = list(pool.map(lambda name: run(name, seconds), names))
    table = Table("attack", "seconds", "tried", "fault", show_lines=True)
    for result in results:
        table.add_row(result.name, f"{result.seconds:.0f}", result.tried, result.fault or "none")
    Console(width=140).print(table)
    return any(result.fault for result in results)


def attacks() -> list[str]:
    """The names of the attacks of this folder."""
    found = (module.name for module in pkgutil.iter_modules([str(ROOT / "soak")]))
    return sorted(name for name in found if not name.startswith("_"))


def run(name: str, seconds: float) -> Result:
    """Run one attack; its processes are gone afterwards."""
    begun = time.monotonic()
    print(f"{name}: {seconds:.0f} s ...", flush=True)
    process = subprocess.Popen(
        [sys.executable, "-c", f"from soak.{name} import attack; attack({seconds!r})"],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    try:
        tried, errors = process.communicate(timeout=seconds + GRACE_SECONDS)
        fault = _fault(process.returncode, errors)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        tried, errors = process.communicate()
        fault = f"still ran {GRACE_SECONDS} s after its time"
    if fault:
        print(f"{name}: {errors}", file=sys.stderr, flush=True)
    return Result(name, time.monotonic() - begun, tried.strip(), fault)


def _fault(code: int, errors: str) -> str:
    """The last line of the traceback; the exit code if there is none."""
    lines = errors.strip().splitlines()
    return "" if code == 0 else (lines[-1] if lines else f"ended with {code}")


if __name__ == "__main__":
    sys.exit(main())
