"""Resources shared by all models."""

import dagster as dg

from mlops_dagster.components import Platform

resources = dg.Definitions(resources={"platform": Platform()})
