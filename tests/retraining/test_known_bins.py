"""A new version counts as the newest one of its schema does."""

from datetime import UTC, datetime

from mlops_dagster.registry import Baseline, ModelVersion, Stage
from mlops_dagster.retraining.candidate import known_bins
from mlops_dagster.schema import Feature, ModelSchema
from mlops_dagster.statistics import CategoricalBins, Histogram, NumericBins
from mlops_dagster.tasks import Classification
from mlops_dagster.tasks.classification import SCORE_BINS

SCHEMA = ModelSchema(features=(Feature(name="x", kind="numeric"),), task=Classification(classes=("a", "b")))
OTHER = ModelSchema(features=(Feature(name="x", kind="numeric"),), task=Classification(classes=("a", "b", "c")))


def version(name: str, edge: float | None, schema: ModelSchema) -> ModelVersion:
    baseline = None
    if edge is not None:
        label = Histogram.of(CategoricalBins(("a", "b")), ["a"])
        feature = Histogram.of(NumericBins((edge,)), [0.0])
        baseline = Baseline({"x": feature}, Histogram.of(SCORE_BINS, [0.5]), label)
    at = datetime(2026, 1, 1, tzinfo=UTC)
    return ModelVersion("churn", name, "0", Stage.PRODUCTION, at, schema=schema, baseline=baseline)


def test_the_newest_version_of_the_schema_that_has_a_baseline_says_how_to_count() -> None:
    versions = [
        version("1.0.0", 1.0, SCHEMA),
        version("1.1.0", 2.0, SCHEMA),
        version("1.2.0", None, SCHEMA),
        version("2.0.0", 3.0, OTHER),
    ]
    assert known_bins(versions, SCHEMA) == {"x": NumericBins((2.0,))}
    assert known_bins(versions[2:3], SCHEMA) is None
