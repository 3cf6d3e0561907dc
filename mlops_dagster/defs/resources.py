"""What all models share: where the stores are, and how runs are executed."""

import dagster as dg

from mlops_dagster.components import Platform

# In one process: our runs are short chains, and a process per step would cost each of them 4 s (a rollback, too).
shared = dg.Definitions(resources={"platform": Platform()}, executor=dg.in_process_executor)
