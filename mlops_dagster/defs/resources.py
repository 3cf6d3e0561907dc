"""The resources that all models share: the location of the stores, and the executor of runs."""

import dagster as dg

from mlops_dagster.components import Platform

# In one process: the runs are short chains, and a process per step would add 4 s to each of them (rollbacks included).
shared = dg.Definitions(resources={"platform": Platform()}, executor=dg.in_process_executor)
