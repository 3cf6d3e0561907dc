"""A model whose name another one has: it has nothing but a sensor that says so, and all others load."""

import hashlib
import logging
from pathlib import Path

import dagster as dg

from mlops_dagster.components.spec import ModelSpec
from mlops_dagster.errors import InvalidNameError

logger = logging.getLogger(__name__)


def refused_defs(spec: ModelSpec, holder: str, place: Path) -> dg.Definitions:
    """A sensor whose ticks fail with the message; `place` is where the YAML is."""
    message = (
        f"{place / 'defs.yaml'}: the model {spec.model!r} is not there, for {holder!r} of another folder has that name "
        "to Dagster; give it a name that differs in more than case, '-' and '_'"
    )
    logger.error(message)
    digest = hashlib.sha256(str(place).encode(errors="surrogateescape")).hexdigest()[:8]

    @dg.sensor(
        name=f"{spec.prefix}__refused_{digest}",  # a name of nobody's: models have no doubled separator
        minimum_interval_seconds=300,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=message,
    )
    def refused(context: dg.SensorEvaluationContext) -> None:
        raise InvalidNameError(message)

    return dg.Definitions(sensors=[refused])
