"""What mlops_dagster has for all models of a location: where the stores are, the hourly job, the MLflow catalogue,
killed retrainings, models without a definition."""

import dagster as dg

from mlops_dagster.defs import alert_delivery, catalogue, fleet, resources, retraining, unnamed

shared = dg.Definitions.merge(
    resources.shared, dg.load_definitions_from_modules([alert_delivery, fleet, catalogue, retraining, unnamed])
)
