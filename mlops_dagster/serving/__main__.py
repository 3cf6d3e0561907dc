"""`python -m mlops_dagster.serving`: starts the data plane with the settings of the environment."""

from mlops_dagster.serving.processes.supervisor import run
from mlops_dagster.settings import Settings

run(Settings())
