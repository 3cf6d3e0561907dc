"""What all models of this location share: where the stores are, and the MLflow catalogue."""

import dagster as dg

from mlops_dagster.defs import alerts, catalogue, resources

shared = dg.Definitions.merge(resources.shared, dg.load_definitions_from_modules([alerts, catalogue]))
