"""A code location of its own for one model, under the real `dagster dev`."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import dagster as dg
from dagster._core.scheduler.instigation import InstigatorTick, TickStatus
from dagster_graphql import DagsterGraphQLClient

from tests.support.serving.data_plane import eventually

ROOT = Path(__file__).parents[3]
PROJECT = {
    "dg.toml": 'directory_type = "project"\n[project]\nroot_module = "live"\n',
    "live/__init__.py": "",
    "live/definitions.py": (
        "from pathlib import Path\n"
        "import dagster as dg\n"
        "from mlops_dagster.components import load_from_defs_folder\n"
        "@dg.definitions\n"
        "def defs():\n"
        "    return load_from_defs_folder(path_within_project=Path(__file__).parent)\n"
    ),
    "live/defs/__init__.py": "",
    "live/defs/resources.py": (
        "import dagster as dg\n"
        "from mlops_dagster.components import Platform\n"
        "shared = dg.Definitions(resources={'platform': Platform()})\n"
    ),
    "live/defs/model/defs.yaml": """\
type: mlops_dagster.components.ModelLifecycle
attributes:
  model: live
  trainer: live.definitions
  training: {dataset: made up}
  card: {intended_use: tests, failure_modes: [none], contacts: [me], fairness_attribute: carrier}
  rollout: {steps: [0.2, 0.5], bake_hours: 0}
  retraining: {on_drift: false, cadence: null}
""",
}


class Orchestrator:
    """What `dagster dev` has done so far, as its instance tells."""

    def __init__(self, instance: dg.DagsterInstance, port: int, process: int) -> None:
        self.instance = instance
        self.port = port
        """Of the web server."""
        self.process = process
        """The group of its processes."""

    def launch(self, job: str, tags: Mapping[str, str]) -> str:
        """Launch a run of a job through the queue, as the UI does; returns its id."""
        client = DagsterGraphQLClient("127.0.0.1", self.port)
        return client.submit_job_execution(job, "live.definitions", "__repository__", tags=dict(tags))

    def ticks(self, sensor: str) -> Sequence[InstigatorTick]:
        """Those that have ended, the latest first."""
        (state,) = [each for each in self.instance.all_instigator_state() if each.name == sensor] or [None]
        if state is None:
            return []
        ticks = self.instance.get_ticks(state.instigator_origin_id, state.selector_id)
        return [tick for tick in ticks if tick.status is not TickStatus.STARTED]


@contextmanager
def dagster_dev(
    folder: Path, home: Path, files: Mapping[str, str] | None = None, *, seconds: float = 90
) -> Iterator[Orchestrator]:
    """`dagster dev` over the stores in `home`, with the project's own dagster.yaml; it has looked at the model.

    It is given some `seconds` for that.

    `files` stand beside those of the PROJECT, or in their place.

    Its queue is full of what was there before: as many runs as schedules may start, that will never end.
    """
    for name, content in {**PROJECT, **(files or {})}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    dagster_home = folder / "dagster"
    dagster_home.mkdir()
    (dagster_home / "dagster.yaml").write_bytes((ROOT / "mlops_dagster" / "dagster.yaml").read_bytes())
    environment = {
        **os.environ,
        "MLOPS_HOME": str(home),
        "DAGSTER_HOME": str(dagster_home),
        "PYTHONPATH": f"{folder}:{ROOT}",
    }
    with dg.DagsterInstance.from_config(str(dagster_home)) as instance:
        for _ in range(4):
            instance.create_run_for_job(
                _endless, status=dg.DagsterRunStatus.STARTED, tags={"dagster/schedule_name": "hourly"}
            )
        port = _free_port()
        with (folder / "dagster.log").open("wb") as log:
            process = subprocess.Popen(
                [Path(sys.executable).parent / "dagster", "dev", "-m", "live.definitions", "-p", str(port)],
                cwd=folder,
                env=environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        orchestrator = Orchestrator(instance, port, process.pid)

        def looked() -> bool:
            assert process.poll() is None, (folder / "dagster.log").read_text()[-3000:]
            return bool(orchestrator.ticks("limits"))

        try:
            eventually(looked, seconds=seconds)
            yield orchestrator
        finally:
            process.send_signal(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):  # how long Dagster takes to end is not what is tested here
                process.wait(5)
            _kill_the_rest(process.pid)
            process.wait()


@dg.job(name="nobody_waits_for_this")
def _endless() -> None:
    pass


def _kill_the_rest(group: int) -> None:
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        return


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
