"""The suite of expectations that a model's batches are held against."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field

from mlops_dagster.monitoring.distribution import distribution
from mlops_dagster.registry.baseline import Baseline
from mlops_dagster.schema import Feature, ModelSchema
from mlops_dagster.statistics import CategoricalBins, Histogram, NumericBins

if TYPE_CHECKING:
    from great_expectations import ExpectationSuite
    from great_expectations.expectations.expectation import Expectation

_FINITE = 1.7976931348623157e308  # the largest float64: outside are the infinities


class ValidationPolicy(BaseModel):
    """What a batch may look like.

    A range is that of the baseline's bins (99 % of the training rows), widened on both sides by `stretch` times
    its width: it finds other units and broken sensors, while drift is for the drift report. So does the limit on a
    distribution: 0.5 nats are reached when the values of a day keep to six tenths of where they were (ln 2 is a half).

    `suite` is a file that people edit, used instead of the suite derived from baseline and policy;
    `mlops validation suite MODEL` writes the derived one to begin with.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_missing: float = Field(default=0.05, ge=0, le=1, description="share of rows that may lack a nullable feature")
    max_outside: float = Field(default=0.10, ge=0, le=1, description="share outside its range or known categories")
    stretch: float = Field(default=2.0, ge=0, description="how far a range is widened, in widths of it")
    max_divergence: float = Field(
        default=0.5, gt=0, description="how far the values of a day may be from the baseline's, in nats"
    )
    min_rows: float = Field(default=100, ge=1, description="independent rows under which a distribution is not judged")
    suite: Path | None = Field(default=None, description="JSON of Great Expectations, beside this file")


DEFAULTS = ValidationPolicy()


NOBODY_SHARES: Mapping[str, float] = MappingProxyType({})


def suite_for(
    schema: ModelSchema,
    baseline: Baseline | None = None,
    *,
    policy: ValidationPolicy = DEFAULTS,
    shared_by: Mapping[str, float] = NOBODY_SHARES,
) -> "ExpectationSuite":
    """The suite of a model, derived: columns and types from its schema, the rest from a baseline, if there is one.

    What an expectation is for stands in its `meta`: the kinds of `batches` (all, if there is no such entry), and the
    rows that a batch needs (`min_rows`). `shared_by` says how many rows of a feature are one observation, as in
    `DriftPolicy`.
    """
    from great_expectations import ExpectationSuite
    from great_expectations.expectations.core.expect_column_values_to_be_in_set import ExpectColumnValuesToBeInSet
    from great_expectations.expectations.core.expect_column_values_to_not_be_null import ExpectColumnValuesToNotBeNull
    from great_expectations.expectations.core.expect_table_columns_to_match_set import ExpectTableColumnsToMatchSet

    expectations: list[Expectation] = [ExpectTableColumnsToMatchSet(column_set=list(schema.names), exact_match=False)]
    for feature in schema.features:
        reference = None if baseline is None else baseline.features.get(feature.name)
        expectations += _of_feature(feature, reference, policy)
        if reference is not None:
            min_rows = policy.min_rows * shared_by.get(feature.name, 1.0)
            spread = distribution(feature.name, reference, max_divergence=policy.max_divergence, min_rows=min_rows)
            expectations += [] if spread is None else [spread]
    labels = {"batches": ["training_set"]}
    expectations += [
        ExpectTableColumnsToMatchSet(column_set=["label"], exact_match=False, meta=labels),
        ExpectColumnValuesToNotBeNull(column="label", meta=labels),
        ExpectColumnValuesToBeInSet(column="label", value_set=list(schema.classes), meta=labels),
    ]
    return ExpectationSuite(name=f"schema-{schema.digest[:12]}", expectations=expectations)


def _of_feature(feature: Feature, reference: Histogram | None, policy: ValidationPolicy) -> "list[Expectation]":
    from great_expectations.expectations.core.expect_column_values_to_be_between import ExpectColumnValuesToBeBetween
    from great_expectations.expectations.core.expect_column_values_to_be_in_set import ExpectColumnValuesToBeInSet
    from great_expectations.expectations.core.expect_column_values_to_be_of_type import ExpectColumnValuesToBeOfType
    from great_expectations.expectations.core.expect_column_values_to_not_be_null import ExpectColumnValuesToNotBeNull

    numeric = feature.kind == "numeric"
    present = 1 - policy.max_missing if feature.nullable else 1.0
    expectations: list[Expectation] = [
        ExpectColumnValuesToBeOfType(column=feature.name, type_="float64" if numeric else "str"),
        ExpectColumnValuesToNotBeNull(column=feature.name, mostly=present),
    ]
    inside = 1 - policy.max_outside
    bins = None if reference is None else reference.bins
    if numeric:
        low, high = _range(bins, policy.stretch) if isinstance(bins, NumericBins) else (-_FINITE, _FINITE)
        expectations.append(
            ExpectColumnValuesToBeBetween(column=feature.name, min_value=low, max_value=high, mostly=inside)
        )
    elif isinstance(bins, CategoricalBins):
        expectations.append(
            ExpectColumnValuesToBeInSet(column=feature.name, value_set=list(bins.categories), mostly=inside)
        )
    return expectations


def _range(bins: NumericBins, stretch: float) -> tuple[float, float]:
    if len(bins.edges) < 2:
        return -_FINITE, _FINITE
    width = bins.edges[-1] - bins.edges[0]
    return bins.edges[0] - stretch * width, bins.edges[-1] + stretch * width
