"""The daemon, the shipper and the alert sensor of a real installation are stopped for five minutes each.

Each time a person must hear of it within six, and that it is over when the stopped one goes on.
"""

import os
import signal
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from dagster._core.definitions.run_request import InstigatorType
from dagster._core.scheduler.instigation import InstigatorStatus

from mlops_dagster.settings import Settings
from mlops_dagster.stores import Stores
from tests.support.channels.receivers import SECRET, Receiver
from tests.support.channels.stub import on_loopback
from tests.support.components.orchestrated import Orchestrator, dagster_dev
from tests.support.serving.data_plane import Models, Server, eventually
from tests.support.serving.light import light_artifacts

MODEL = "live"
STOP_SECONDS, TOLD_SECONDS = 300, 360
SHARED = """\
import dagster as dg
from mlops_dagster.defs import alert_delivery, alerts, resources
shared = dg.Definitions.merge(resources.shared, dg.load_definitions_from_modules([alert_delivery, alerts]))
"""


def attack(seconds: float) -> None:
    deadline, bus = time.monotonic() + seconds, Receiver()
    with tempfile.TemporaryDirectory(prefix="soak-") as folder, on_loopback(bus) as address:
        home, channels = Path(folder, "home"), Path(folder, "channels.yaml")
        channels.write_text(
            f'channels: {{bus: {{type: webhook, url: {address}/hook, secret: "${{TEST_HOOK}}"}}}}\n'
            "routes: [{critical: [bus], warning: [bus]}]\n"
        )
        os.environ |= {
            "MLOPS_CHANNELS": str(channels),
            "MLOPS_NAME": "soak",
            "MLOPS_PARTITIONS_START": f"{datetime.now(UTC):%Y-%m-%d}",
            "TEST_HOOK": SECRET,
        }
        models = Models(Stores(Settings(home=home), actor="soak"), light_artifacts(Path(folder)))
        models.champion(MODEL)
        server = Server(home, MLOPS_WORKERS="1", MLOPS_HANG_SECONDS="86400")
        try:
            with dagster_dev(
                Path(folder, "project"), home, {"live/defs/resources.py": SHARED}, seconds=400
            ) as orchestrator:
                eventually(lambda: _all_beat(models.stores), seconds=400)
                for name, begin, end, watcher in (
                    ("the shipper", *_paused("upkeep.housekeeper"), "duty:log"),
                    ("the daemon", *_paused("dagster._daemon", str(folder)), "sensor:limits"),
                    ("the alert sensor", *_switched(orchestrator, "alerts"), "sensor:alerts"),
                ):
                    if time.monotonic() > deadline:
                        break
                    _told(name, begin, end, watcher, bus)
        finally:
            if server.process.poll() is None:
                server.stop(signal.SIGKILL)


def _all_beat(stores: Stores) -> bool:
    return {"sensor:alerts", "sensor:limits", "duty:log", "duty:delivery"} <= {
        each.name for each in stores.beats.list()
    }


def _told(name: str, begin: Callable[[], object], end: Callable[[], object], watcher: str, bus: Receiver) -> None:
    """Stop one, and wait until a person has heard of it; let it go on, and wait until that was heard too."""
    key, since = f"mlops:soak:*:watcher_silent:{watcher}", time.monotonic()
    begin()
    while key not in bus.open:
        assert time.monotonic() - since < TOLD_SECONDS, f"{name} was stopped, and nobody was told; told: {bus.open}"
        time.sleep(1)
    told = time.monotonic() - since
    time.sleep(max(0.0, since + STOP_SECONDS - time.monotonic()))
    end()
    again = time.monotonic()
    eventually(lambda: not [each for each in bus.open if "watcher_silent" in each], seconds=180)
    print(f"{name}: told {told:.0f} s after it was stopped, over {time.monotonic() - again:.0f} s after it went on")


def _paused(*of: str) -> tuple[Callable[[], object], Callable[[], object]]:
    """Return what stops the processes with these texts in their command or environment, and what lets them go on."""

    def tell(number: signal.Signals) -> None:
        pids = _pids(of)
        assert pids, f"no process of {of}"
        for pid in pids:
            os.kill(pid, number)

    return lambda: tell(signal.SIGSTOP), lambda: tell(signal.SIGCONT)


def _switched(orchestrator: Orchestrator, sensor: str) -> tuple[Callable[[], object], Callable[[], object]]:
    """Return what turns a sensor off, as the Dagster UI does, and what turns it on."""

    def turn(status: InstigatorStatus) -> None:
        states = orchestrator.instance.all_instigator_state(instigator_type=InstigatorType.SENSOR)
        (state,) = [each for each in states if each.name == sensor]
        orchestrator.instance.update_instigator_state(state.with_status(status))

    return lambda: turn(InstigatorStatus.STOPPED), lambda: turn(InstigatorStatus.RUNNING)


def _pids(of: tuple[str, ...]) -> list[int]:
    """Return the processes of this attack whose command and environment have all these texts."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            text = path.read_bytes() + path.with_name("environ").read_bytes()
        except OSError:
            continue
        if b"TEST_HOOK=" in text and all(each.encode() in text for each in of):
            found.append(int(path.parent.name))
    return found
