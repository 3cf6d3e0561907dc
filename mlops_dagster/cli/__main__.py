"""`python -m mlops_dagster.cli`."""

from mlops_dagster.cli import app

app(prog_name="mlops")
