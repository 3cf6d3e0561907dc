"""The checks by `dg check defs` of a model beyond its YAML: everything that would make a first run fail.

A trainer may import slowly, so these checks are skipped when a code location is only loaded.
"""

import logging
from pathlib import Path

from mlops_dagster.errors import StorageError
from mlops_dagster.loop.spec import ModelSpec
from mlops_dagster.monitoring.validation.expectations.document import read_suite
from mlops_dagster.monitoring.validation.expectations.evaluable import check_met
from mlops_dagster.registry import ModelVersion
from mlops_dagster.retraining.dry_run import check_estimator
from mlops_dagster.retraining.trainer import load_batch_source
from mlops_dagster.rollout.claims.rare_strata import strata_of
from mlops_dagster.rollout.prospects.proposal import check_can_promote, least_requests_per_day
from mlops_dagster.rollout.prospects.prospects import ALIKE, Shares
from mlops_dagster.schema import ModelSchema
from mlops_dagster.settings import Settings
from mlops_dagster.stores import Stores

logger = logging.getLogger(__name__)


def check_model(spec: ModelSpec) -> None:
    """Raise an error of this package for any setting with which no run of this model could succeed, with a remedy.

    The trainer is imported, held against its protocol and asked for its estimator; policies are held against its
    schema; a suite is evaluated, on what the champion was trained on if there is one; and the rollout is played on the
    traffic that is expected.
    """
    trainer, champion = check_estimator(spec.trainer, Settings().own_types), _champion(spec)
    if spec.batch_scores:
        load_batch_source(spec.trainer)
    spec.drift.check_names(trainer.SCHEMA.names)
    if spec.validation.suite is not None:
        _check_suite(spec, spec.validation.suite, trainer.SCHEMA, champion)
    if spec.traffic is None:
        logger.warning(
            "%s: whether its rollout can prove anything is not known; write `traffic: {requests_per_day: ..., "
            "label_delay_hours: ...}`. With fewer than %s requests a day no version is ever promoted",
            spec.model, f"{least_requests_per_day(spec.rollout):,}",
        )  # fmt: skip
        return
    check_can_promote(spec.rollout, spec.traffic, _shares(champion))


def _champion(spec: ModelSpec) -> ModelVersion | None:
    settings = Settings()
    if settings.database_url is None and not (settings.home / "mlops.sqlite").exists():  # a check makes none
        return None
    try:
        return Stores(settings).champion(spec.model)
    except StorageError as error:  # what is checked is the YAML
        logger.warning("%s: its champion could not be asked for: %s", spec.model, error.message)
        return None


def _check_suite(spec: ModelSpec, file: Path, schema: ModelSchema, champion: ModelVersion | None) -> None:
    suite = read_suite(file, schema)
    if champion is not None and champion.baseline is not None and champion.schema == schema:
        whose, alpha = f"the champion {champion.version}", spec.validation.alpha
        check_met(suite, schema, champion.baseline, alpha=alpha, where=f"the suite {str(file)!r}", whose=whose)


def _shares(champion: ModelVersion | None) -> Shares:
    """Return the shares of the strata in the champion's training set; if unknown, those of two of equal share."""
    shares = {} if champion is None else strata_of(champion)
    return shares if any(shares.values()) else ALIKE
