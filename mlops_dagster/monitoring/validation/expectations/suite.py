"""The suite of expectations that a model's batches are validated against."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BeforeValidator, Field, WithJsonSchema

from mlops_dagster.documents.strict import StrictModel
from mlops_dagster.extras import require
from mlops_dagster.inference.usual_values import usual_range
from mlops_dagster.monitoring.validation.expectations.distribution import asked_as_warnings, distribution
from mlops_dagster.registry.entities.baseline import Baseline
from mlops_dagster.registry.entities.guard_and_hold import GuardMode, GuardPolicy
from mlops_dagster.schema import Feature, ModelSchema
from mlops_dagster.statistics import INDEPENDENT, CategoricalBins, Histogram
from mlops_dagster.statistics.bins.columns import MISSING

if TYPE_CHECKING:
    from great_expectations import ExpectationSuite
    from great_expectations.expectations.expectation import Expectation


def _off_is_a_word(value: object) -> object:
    return "off" if value is False else value  # YAML 1.1 reads a bare `off` as False


class ValidationPolicy(StrictModel):
    """Limits that a batch must keep.

    A range is that of the baseline's bins (99 % of the training rows), widened on both sides by `stretch` times
    its width: it finds other units and broken sensors, while drift is for the drift report. The limit on a distribution
    finds them too: 0.5 nats are reached when the values of a day keep to six tenths of their former range (0.69 nats,
    ln 2, when they keep to half). A day that is to be scored fails over the limit; a training set over it, and an hour
    that is farther off than every hour of training, are in doubt.

    A nullable feature may be missing as often as in the baseline, and in `max_missing` of the rows beyond that: a
    feature may well be null in a third of all rows. The first training set shows how often.

    A share of few rows may be over its limit by chance: at a limit of 5 %, 9 of 37 rows may be missing, but of 100,000
    rows little more than 5 %. `alpha` is the probability that chance fails an expectation of a batch whose true share
    is at the limit.

    `suite` is a file that people edit, used instead of the suite derived from baseline and policy;
    `mlops validation suite MODEL` writes the derived one to begin with.
    """

    max_missing: float = Field(
        default=0.05,
        ge=0,
        le=1,
        description="share of rows that may lack a nullable feature, beyond those of the baseline",
    )
    max_outside: float = Field(default=0.10, ge=0, le=1, description="share outside its range or known categories")
    stretch: float = Field(default=2.0, ge=0, description="how far a range is widened, in widths of it")
    max_divergence: float = Field(
        default=0.5, gt=0, description="how far the values of a day may be from the baseline's, in nats"
    )
    alpha: float = Field(default=1e-5, gt=0, lt=1, description="how often chance may bring a share over its limit")
    min_rows: float = Field(default=100, ge=1, description="independent rows under which a distribution is not judged")
    suite: Path | None = Field(default=None, description="JSON of Great Expectations, in the folder of this file")
    guard: Annotated[
        GuardMode, BeforeValidator(_off_is_a_word), WithJsonSchema({"enum": ["off", "log", "reject", False]})
    ] = Field(default="log", description="the data plane's action on rows that violate it")
    hold: bool = Field(default=False, description="a bad hour puts online serving on hold until a good one")

    @property
    def guard_policy(self) -> GuardPolicy:
        """The guard's part of the policy, for the registry, through which it reaches the data plane."""
        return GuardPolicy(mode=self.guard, stretch=self.stretch)


DEFAULTS = ValidationPolicy()


NOBODY_SHARES: Mapping[str, float] = MappingProxyType({})


def suite_for(
    schema: ModelSchema,
    baseline: Baseline | None = None,
    *,
    policy: ValidationPolicy = DEFAULTS,
    rows_per_observation: Mapping[str, float] = NOBODY_SHARES,
) -> "ExpectationSuite":
    """Derive the suite of a model: columns and types from its schema, the rest from a baseline, if there is one.

    What an expectation is for stands in its `meta`: the kinds of `batches` (all, if there is no such entry), the rows
    that a batch needs (`min_batch_rows`), how many of them are one observation (`rows_per_observation`), and the `rule`
    of the policy that set its limit, with its value. The argument `rows_per_observation` says so by feature, as in
    `DriftPolicy`; where it does not, the baseline's own estimate does.
    """
    require("monitoring", "validation")
    from great_expectations import ExpectationSuite
    from great_expectations.expectations.core.expect_column_values_to_be_in_set import ExpectColumnValuesToBeInSet
    from great_expectations.expectations.core.expect_column_values_to_not_be_null import ExpectColumnValuesToNotBeNull
    from great_expectations.expectations.core.expect_table_columns_to_match_set import ExpectTableColumnsToMatchSet

    expectations: list[Expectation] = [ExpectTableColumnsToMatchSet(column_set=list(schema.names), exact_match=False)]
    for feature in schema.features:
        reference = None if baseline is None else baseline.features.get(feature.name)
        estimated = INDEPENDENT if baseline is None else baseline.design_effects.get(feature.name, INDEPENDENT)
        alike = rows_per_observation.get(feature.name, estimated.rows)
        expectations += _of_feature(feature, reference, policy, alike)
        if reference is not None:
            rows = policy.min_rows * alike
            spread = distribution(feature.name, reference, max_divergence=policy.max_divergence, least_rows=rows)
            if spread is not None:
                expectations += [spread, *asked_as_warnings(spread, estimated.worst_hour_psi)]
    labels = {"batches": ["training_set"]}
    expectations += [
        ExpectTableColumnsToMatchSet(column_set=["label"], exact_match=False, meta=labels),
        ExpectColumnValuesToNotBeNull(column="label", meta=labels),
    ]
    if schema.task.truths:
        truths = list(schema.task.truths)
        expectations.append(ExpectColumnValuesToBeInSet(column="label", value_set=truths, meta=labels))
    return ExpectationSuite(name=f"schema-{schema.digest[:12]}", expectations=expectations)


def _of_feature(
    feature: Feature, reference: Histogram | None, policy: ValidationPolicy, alike: float
) -> "list[Expectation]":
    from great_expectations.expectations.core.expect_column_values_to_be_between import ExpectColumnValuesToBeBetween
    from great_expectations.expectations.core.expect_column_values_to_be_in_set import ExpectColumnValuesToBeInSet
    from great_expectations.expectations.core.expect_column_values_to_be_of_type import ExpectColumnValuesToBeOfType
    from great_expectations.expectations.core.expect_column_values_to_not_be_null import ExpectColumnValuesToNotBeNull

    numeric = feature.kind == "numeric"
    meta: dict[str, Any] = {"rows_per_observation": alike} if alike > 1 else {}
    expectations: list[Expectation] = [
        ExpectColumnValuesToBeOfType(column=feature.name, type_="float64" if numeric else "str"),
        ExpectColumnValuesToNotBeNull(**_present(feature, reference, policy, meta)),
    ]
    inside, meta = 1 - policy.max_outside, {**meta, "rule": {"max_outside": policy.max_outside}}
    bins = None if reference is None else reference.bins
    if numeric:
        low, high = usual_range(reference, policy.stretch)
        expectations.append(
            ExpectColumnValuesToBeBetween(column=feature.name, min_value=low, max_value=high, mostly=inside, meta=meta)
        )
    elif isinstance(bins, CategoricalBins):
        expectations.append(
            ExpectColumnValuesToBeInSet(column=feature.name, value_set=list(bins.categories), mostly=inside, meta=meta)
        )
    return expectations


def _present(
    feature: Feature, reference: Histogram | None, policy: ValidationPolicy, meta: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the limit on the share of rows that have the feature: the baseline's share, less what the policy allows.

    There is no limit for a first training set: the baseline comes from it, and it shows how many values are null.
    """
    if not feature.nullable:
        return {"column": feature.name, "mostly": 1.0}
    most = policy.max_missing
    if reference is not None and (rows := sum(reference.counts)):
        most += reference.counts[MISSING] / rows
    first = {"batches": ["hour", "day"]} if reference is None else {}
    rule = {"rule": {"max_missing": policy.max_missing}}
    return {"column": feature.name, "mostly": max(1 - most, 0.0), "meta": {**meta, **first, **rule}}
