"""Limits on quality measures, in the terms of the gate policy and of each task."""

from collections.abc import Mapping
from typing import Annotated, NamedTuple

from pydantic import Field

from mlops_dagster.documents.strict import StrictModel


class QualityLimits(StrictModel):
    """The quality limits in a gate policy, of every kind of task: a model's task reads its own, and no others."""

    min_micro_f1: Annotated[
        float,
        Field(
            ge=0,
            le=1,
            description="least micro-F1 on the held-out days. The default is for easy tasks; set the least value "
            "that is still useful: over the share of the commonest class, which takes no model, and under the "
            "interval that the first cards give, so that chance closes no gate",
        ),
    ] = 0.91


class FirstLimits(NamedTuple):
    """Limits for the first versions of a model, of which nothing is known but the shares of its labels."""

    gates: Mapping[str, float]
    """Fields of the gate policy."""
    naive: float
    """The headline measure of a version that always predicts the commonest truth."""


class Least(NamedTuple):
    """The least value of a quality measure with which a gate is open."""

    measure: str
    heading: str
    value: float
    advice: str
    """Where the limit is set, and to what value, for people whose version is under it."""
