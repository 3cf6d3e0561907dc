"""The checks by `dg check defs` of a model beyond its YAML: everything that would make a first run fail.

A trainer may import slowly, so these checks are skipped when a code location is only loaded.
"""

import os

from mlops_dagster.components.spec import ModelSpec
from mlops_dagster.monitoring.validation.suites import read_suite
from mlops_dagster.retraining.dry_run import check_estimator
from mlops_dagster.retraining.trainer import load_batch_source
from mlops_dagster.rollout.prospects.prospects import check_can_promote
from mlops_dagster.settings import Settings


def is_check() -> bool:
    """Return whether `dg check defs` or `dagster definitions validate` loads the definitions: both set this."""
    return os.environ.get("DAGSTER_IS_DEFS_VALIDATION_CLI") == "1"


def check_model(spec: ModelSpec) -> None:
    """Raise an error of this package for any setting with which no run of this model could succeed, with a remedy.

    The trainer is imported, checked against its protocol and asked for its estimator; policies are checked against its
    schema; a suite is evaluated; and the rollout is simulated on the expected traffic.
    """
    trainer = check_estimator(spec.trainer, Settings().own_types)
    if spec.batch_scores:
        load_batch_source(spec.trainer)
    spec.drift.check_names(trainer.SCHEMA.names)
    if spec.validation.suite is not None:
        read_suite(spec.validation.suite, trainer.SCHEMA)
    if spec.traffic is not None:
        check_can_promote(spec.rollout, spec.traffic)
