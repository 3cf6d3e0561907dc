"""Kill -9 of a data plane's processes at random moments, under traffic, with an audit after each."""

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterable

from mlops_dagster.predictions import audit
from tests.support.serving.data_plane import Models, Server, children, eventually, logged_ids
from tests.support.serving.load import Load, load_on

VICTIMS = ("worker",) * 4 + ("housekeeper",) * 3 + ("supervisor",)


def recorded(models: Models, model: str) -> set[str]:
    """The ids of every prediction in the log or, if it is not there yet, in the spool."""
    stores = models.stores
    after = stores.spool.marks.get("shipped")
    spooled = [entry.prediction()["prediction_id"] for entry in stores.spool.read(after, 10**6) if entry.sequence]
    return {*spooled, *logged_ids(stores, model)}


def kill_anyone(
    models: Models, model: str, start: Callable[..., Server], rounds: Iterable[object], seed: int
) -> tuple[Load, Counter[str]]:
    """Kill one process a round while four callers ask on; each answer has to be recorded, and each audit complete.

    Returns what the callers were told, and how often each kind of process was killed.
    """
    chance, killed = random.Random(seed), Counter[str]()  # noqa: S311 - not for secrets
    models.champion(model)
    models.canary(model, "1.1.0", 0.5)
    server = start(MLOPS_WORKERS="2")
    port = server.address["port"]
    server.wait_in_force(models.stores, model)
    victims: list[str] = []
    with load_on(model, lambda: port, callers=4, pause=0.01) as load:
        for _ in rounds:
            load.wait_for(30)
            time.sleep(chance.uniform(0, 0.2))
            victims = victims or chance.sample(VICTIMS, len(VICTIMS))
            kind = victims.pop()
            killed[kind] += 1
            told = f"seed {seed}, killed {dict(killed)}, last a {kind}"
            if kind == "supervisor":
                server.stop(signal.SIGKILL)
                server = start(MLOPS_WORKERS="2", MLOPS_PORT=str(port))
            else:
                os.kill(chance.choice(eventually(lambda: children(server, kind))), signal.SIGKILL)  # noqa: B023
            known = set(load.answered)
            report = audit(models.stores.spool, models.stores.log)
            assert report.complete, told
            assert known <= recorded(models, model), told
        load.wait_for(30)
    assert server.stop(signal.SIGTERM) == 0
    assert load.answered <= recorded(models, model)
    assert not load.refused
    report = audit(models.stores.spool, models.stores.log)
    assert (report.complete, report.spooled) == (True, 0)
    return load, killed
