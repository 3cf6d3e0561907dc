"""The definitions that all models of a code location share: one sensor and one job for each task, not one a model."""

from collections.abc import Sequence

import dagster as dg

from mlops_dagster.components.comparisons import comparisons_defs
from mlops_dagster.components.jobs.by_hand import by_hand_jobs
from mlops_dagster.components.jobs.reports import reports_defs
from mlops_dagster.components.sensors.retraining import retraining_sensor
from mlops_dagster.components.sensors.retraining_failures import retraining_killed
from mlops_dagster.components.sensors.serving_versions import serving_sensors
from mlops_dagster.components.sensors.training_runs import retrain_job
from mlops_dagster.components.sensors.unnamed import unnamed_sensor
from mlops_dagster.loop.spec import ModelSpec


def with_fleet(models: dg.Definitions, specs: Sequence[ModelSpec]) -> dg.Definitions:
    """Return the definitions of models, and the sensors, jobs and schedules over all of them.

    Args:
        models: all definitions of a code location, among them those of each spec.
        specs: the specs of the models.
    """
    names = {retrain_job(spec) for spec in specs}
    return dg.Definitions.merge(
        models,
        dg.Definitions(
            jobs=by_hand_jobs(specs),
            sensors=[
                *serving_sensors(specs),
                retraining_sensor(specs, [job for job in models.jobs or () if job.name in names]),
                retraining_killed,
                unnamed_sensor(specs),
            ],
        ),
        comparisons_defs(specs),
        reports_defs(specs),
    )
