"""What the definitions of a fleet take to load: seconds of the processor, and memory at its most.

Each size is a project with a YAML for each model, loaded by a process of its own as Dagster's code server does it;
"snapshot" is what the code server makes once for the daemon and the web server, loading included. Nothing is asserted;
the promise is 25 s and 600 MB for 1,000 models, and for ten models 1.3 times what one takes with its imports.

    python bench/definitions_load.py [--models 1 10 100 300 1000]
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).parents[1]
MODEL = """\
type: mlops_dagster.components.ModelLifecycle
attributes:
  model: model-{number}
  trainer: json
  owners: ["team:fleet"]
  training: {{dataset: mine}}
  card: {{intended_use: x, failure_modes: [y], contacts: [z], fairness_attribute: w}}
"""
FILES = {
    "dg.toml": 'directory_type = "project"\n[project]\nroot_module = "fleet_project"\n',
    "fleet_project/__init__.py": "",
    "fleet_project/definitions.py": (
        "from datetime import date\n"
        "from pathlib import Path\n"
        "import dagster as dg\n"
        "from mlops_dagster.components import load_from_defs_folder\n"
        "@dg.definitions\n"
        "def defs():\n"
        "    return load_from_defs_folder(path_within_project=Path(__file__).parent, since=date(2026, 1, 1))\n"
    ),
    "fleet_project/defs/__init__.py": "",
    "fleet_project/defs/shared.py": "from mlops_dagster.defs.resources import shared as shared\n",
}
PROGRAM = """\
import json, resource, time
cpu, found = 0.0, {}

def done(name):
    found[f"{name} s"] = round(time.process_time() - cpu, 2)
    found[f"{name} MB"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024

import dagster, mlops_dagster.components
from dagster._core.remote_representation.external_data import RepositorySnap
from dagster_shared.serdes import serialize_value
done("imports")
cpu = time.process_time()
from fleet_project.definitions import defs
repository = defs().get_repository_def()
repository.load_all_definitions()
done("loaded")
found["snapshot size MB"] = round(len(serialize_value(RepositorySnap.from_def(repository))) / 1e6, 1)
done("snapshot")
found["jobs"] = len(repository.get_all_jobs())
found["sensors"] = len(repository.sensor_defs)
found["schedules"] = len(repository.schedule_defs)
print(json.dumps(found))
"""
COLUMNS = (
    "imports s",
    "loaded s",
    "loaded MB",
    "snapshot s",
    "snapshot MB",
    "snapshot size MB",
    "jobs",
    "sensors",
    "schedules",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=int, nargs="+", default=[1, 10, 100, 300, 1000])
    table = Table("models", *COLUMNS)
    for models in parser.parse_args().models:
        found = load(models)
        table.add_row(f"{models:,}", *(f"{found[column]:,}" for column in COLUMNS))
    Console(width=140).print(table)


def load(models: int) -> dict[str, float]:
    """Return the figures of one process that loads a project of `models`; seconds are the processor's."""
    with tempfile.TemporaryDirectory(prefix="mlops-bench-") as folder:
        files = {
            f"fleet_project/defs/model_{number}/defs.yaml": MODEL.format(number=number) for number in range(models)
        }
        for name, content in (FILES | files).items():
            path = Path(folder) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        environment = {**os.environ, "PYTHONPATH": f"{folder}:{ROOT}", "MLOPS_HOME": f"{folder}/home"}
        ran = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", PROGRAM],
            cwd=folder,
            env=environment,
            check=True,
            capture_output=True,
            text=True,
        )
    found: dict[str, float] = json.loads(ran.stdout)
    return found


if __name__ == "__main__":
    main()
