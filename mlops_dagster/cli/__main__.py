"""`python -m mlops_dagster.cli`: the same as `mlops`."""

from mlops_dagster.cli import app

app(prog_name="mlops")
