"""`python -m mlops_dagster.serving`: the data plane, as its settings say."""

from mlops_dagster.serving.processes.supervisor import run
from mlops_dagster.settings import Settings

run(Settings())
