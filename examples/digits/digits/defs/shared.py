"""What mlops_dagster has for all models of a location: where the stores are, the hourly job, the MLflow catalogue."""

import dagster as dg

from mlops_dagster.defs import catalogue, fleet, resources

shared = dg.Definitions.merge(resources.shared, dg.load_definitions_from_modules([fleet, catalogue]))
