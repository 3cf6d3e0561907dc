"""The job and sensor that keep an MLflow server in step with the registry, if the settings name one."""

import dagster as dg

from mlops_dagster.components import Platform

SECONDS_BETWEEN_RUNS = 300


@dg.op(description="Brings MLflow up to date with each change since the last run.")
def mlflow_delivery(context: dg.OpExecutionContext, platform: Platform) -> None:
    told = platform.stores().registry.sync_catalogue()
    context.log.info(f"MLflow was told of {told} events")


@dg.job(name="mlflow_catalogue", description="Every version, stage and alias in MLflow as they are in the registry.")
def mlflow_catalogue() -> None:
    mlflow_delivery()


@dg.sensor(
    name="mlflow_catalogue_sensor",
    job=mlflow_catalogue,
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Finds events that MLflow (MLOPS_MLFLOW_URL) was not told of; a server that is away is asked again.",
)
def mlflow_catalogue_sensor(context: dg.SensorEvaluationContext, platform: Platform) -> dg.RunRequest | dg.SkipReason:
    if not platform.stores().registry.catalogue_backlog():
        return dg.SkipReason("MLflow shows everything, or there is none")
    return dg.RunRequest(run_key=str(int(platform.clock().now().timestamp()) // SECONDS_BETWEEN_RUNS))
