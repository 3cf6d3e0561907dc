"""What all models of this location share: the stores, the MLflow catalogue, and the sensors that watch and tell."""

import dagster as dg

from mlops_dagster.defs import alert_delivery, alerts, catalogue, resources, retention

shared = dg.Definitions.merge(
    resources.shared, dg.load_definitions_from_modules([alert_delivery, alerts, catalogue, retention])
)
