"""A model whose definitions cannot be made: it has only a sensor that gives the reason, and other models load."""

import hashlib
import logging
import re
from dataclasses import dataclass

import dagster as dg

from mlops_dagster.components.compat import is_check
from mlops_dagster.errors import InvalidDefinitionError
from mlops_dagster.loop.shown.fleet import MEANWHILE

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class RefusedModel(dg.Component):
    """The placeholder, in the tree of components, of a model without a usable spec.

    `model` is its name, as far as that can be read; else empty. `where` is the YAML, and which document of it; `why`
    says what is wrong.
    """

    model: str
    where: str
    why: str

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """Return a sensor whose ticks fail with the reason."""
        message = f"{self.why}{MEANWHILE}"
        if not is_check():  # which says the same in the end
            logger.error("the model %r is not there: %s", self.model, message)
        digest = hashlib.sha256(self.where.encode(errors="surrogateescape")).hexdigest()[:8]

        @dg.sensor(
            # No model has this name: models have no doubled separator.
            name=f"{re.sub(r'[^A-Za-z0-9_]', '_', self.model)[:60]}__refused_{digest}",
            minimum_interval_seconds=300,
            default_status=dg.DefaultSensorStatus.RUNNING,
            description=message,
        )
        def refused(context: dg.SensorEvaluationContext) -> None:
            raise InvalidDefinitionError(message)

        return dg.Definitions(sensors=[refused])
