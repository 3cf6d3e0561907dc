"""The tutorial's commands on synthetic tables unlike its own: nameless floats with late labels, a class of 1 in 100.

tests/tutorial plays them on the third table, the census.
"""

import sys
import tempfile
import time
from collections import Counter
from itertools import cycle
from pathlib import Path

from bench.tutorial import PROJECT, REHEARSED, cards, play, stream

_DAYS = {cards: 6, stream: 8}


def attack(seconds: float) -> None:
    """Play each table with other seeds until the time is over; in each life a bad release is rolled back."""
    end, played = time.monotonic() + seconds, Counter[str]()
    for seed, table in enumerate(cycle(_DAYS)):
        if seed >= len(_DAYS) and time.monotonic() >= end:
            break
        with tempfile.TemporaryDirectory(prefix="mlops-soak-") as folder:
            frame = table(a_day=1000, days=_DAYS[table], seed=7 + seed)
            summary = play(Path(folder), frame, (PROJECT, REHEARSED)).summary
        fates = {bad["what"]: bad["fate"].split(":")[0] for bad in summary["bad_releases"]}
        if summary["failed_runs"] or not summary["promotions"] or "rolled back" not in fates.values():
            sys.exit(f"{table.__name__}, seed {7 + seed}: {summary['failed_runs']} failed runs, {fates}")
        played[table.__name__] += 1
    print(", ".join(f"{name} {times} times" for name, times in played.items()))
