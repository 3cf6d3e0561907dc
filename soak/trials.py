"""Broken files of every kind, registered one after the other beside a data plane that must not notice."""

import random
import tempfile
import time
from collections import Counter
from pathlib import Path

from mlops_dagster.errors import MlopsError, TrialFailedError
from mlops_dagster.registry import estimators
from mlops_dagster.settings import Settings
from mlops_dagster.stores import Stores
from tests.support.broken import bomb, crashing
from tests.support.serving.data_plane import CARD, SCHEMA, Server, make_baseline, make_estimator

MODEL = "attacked"


def attack(seconds: float) -> None:
    """Register flipped, cut, bombed and crashing files, and ask the champion after each."""
    chance = random.Random(0)  # noqa: S311  # no secret
    tried: Counter[str] = Counter()
    with tempfile.TemporaryDirectory(prefix="soak-trials-") as folder:
        stores = Stores(Settings(home=Path(folder, "home"), trial_memory_mb=512), actor="soak")
        sound = estimators.save(make_estimator(SCHEMA), Path(folder, "sound.skops"))
        baseline = make_baseline(SCHEMA)
        first = stores.registry.register(MODEL, sound, "1.0.0", schema=SCHEMA, card=CARD, baseline=baseline)
        stores.registry.transition(first, "Production")
        server = Server(stores.settings.home)
        try:
            server.wait_in_force(stores, MODEL)
            workers = server.address["processes"]
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                kind = chance.choice(["flipped", "flipped", "flipped", "cut", "crashing", "bomb"])
                file = _broken(kind, sound.read_bytes(), Path(folder, "model.skops"), chance)
                try:
                    found = stores.registry.register(MODEL, file, schema=SCHEMA, card=CARD, baseline=baseline)
                except TrialFailedError:
                    tried[f"{kind}: refused by the trial"] += 1
                except MlopsError as error:
                    tried[f"{kind}: refused as {error.code}"] += 1
                else:
                    tried[f"{kind}: taken, and a shadow for a while"] += 1
                    stores.registry.transition(found, "Shadow")
                    server.wait_in_force(stores, MODEL)
                    _ask(server)
                    server.flush(log=False)
                    stores.registry.transition(found, "Registered")
                _ask(server)
                if server.read_address()["processes"] != workers:
                    raise AssertionError(f"a worker was lost to a file that was {kind} and passed its trial")
        finally:
            server.stop()
            for kind, count in sorted(tried.items()):
                print(f"{count:,} {kind}")


def _broken(kind: str, sound: bytes, file: Path, chance: random.Random) -> Path:
    match kind:
        case "flipped":
            found = bytearray(sound)
            for _ in range(chance.choice([1, 8, 64])):
                found[chance.randrange(len(found))] ^= 1 << chance.randrange(8)
            file.write_bytes(found)
        case "cut":
            file.write_bytes(sound[: chance.randrange(len(sound))])
        case "crashing":
            crashing(file, from_delay=chance.uniform(-100, 40))
        case _:
            bomb(file, 1 << 30)
    return file


def _ask(server: Server) -> None:
    for _ in range(5):
        answer = server.infer(MODEL)
        if (answer.status_code, answer.json().get("model_version")) != (200, "1.0.0"):
            raise AssertionError(f"the champion answered {answer.status_code}: {answer.text[:200]}")
