"""The rows that a version is tried on before anybody is answered by it, and what they find out."""

from collections.abc import Iterator

import numpy as np
import pytest
from sklearn.dummy import DummyClassifier
from threadpoolctl import threadpool_limits

from mlops_dagster.errors import ModelFailedError
from mlops_dagster.inference.trial import trial_columns
from mlops_dagster.registry import Baseline, estimators
from mlops_dagster.schema import Feature, ModelSchema
from mlops_dagster.serving.deployed.loaded_model import LoadedModel
from mlops_dagster.statistics import CategoricalBins, Histogram, NumericBins
from mlops_dagster.tasks.classification.probabilities import ClassAnswers
from tests.support.inference import cases
from tests.support.inference.cases import NUMBERS, labels, registrable, rows

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.slow]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Threads of OpenMP wait for one another, for long where other tests use the cores."""
    with threadpool_limits(1):
        yield


@pytest.mark.parametrize("seed", [None, 0])
@pytest.mark.parametrize("strategy", ["stratified", "uniform"])
def test_an_estimator_that_answers_at_random_is_refused_when_a_version_is_loaded(
    strategy: str, seed: int | None
) -> None:
    """With a seed of its own, it gives a row another answer at another place of a batch."""
    frame = rows(200, 6)
    drawn = DummyClassifier(strategy=strategy, random_state=seed).fit(
        frame[["delay", "distance"]], labels(frame, NUMBERS)
    )
    with pytest.raises(ModelFailedError, match="answers the same row differently: row .* draws nothing"):
        LoadedModel("1.0.0", NUMBERS, drawn).try_out()


@pytest.mark.parametrize("name", cases.NAMES)
def test_no_case_is_taken_for_one_that_answers_at_random(name: str) -> None:
    LoadedModel("1.0.0", registrable()[name].schema, estimators.load(registrable()[name].file)).try_out()


def test_answers_differ_by_more_than_rounding() -> None:
    first = np.array([[0.5, 0.5], [0.5, 0.5], [0.1, 0.9], [np.nan, np.nan]])
    again = np.array([[0.5, 0.5], [0.5 + 1e-7, 0.5 - 1e-7], [0.2, 0.8], [0.1, 0.9]])
    sound = np.ones(4, dtype=bool)
    one = ClassAnswers(("a", "b"), np.array([0, 0, 1, 0]), first, sound)
    other = ClassAnswers(("a", "b"), np.array([1, 1, 1, 1]), again, sound)
    assert one.differ(other).tolist() == [True, False, True, False]


def test_a_version_is_tried_on_rows_like_its_training_data() -> None:
    features = (*NUMBERS.features, Feature(name="carrier", kind="categorical", nullable=False))
    schema = ModelSchema(features=features, task=NUMBERS.task)
    baseline = Baseline(
        {
            "delay": Histogram.of(NumericBins.fit([3.0, 4.0, 5.0]), [3.0, 4.0, 5.0] * 9),
            "carrier": Histogram.of(CategoricalBins(("AA",)), ["AA", "BB", None] * 9),
        },
        Histogram.of(NumericBins((0.5,)), [0.5]),
        Histogram.of(CategoricalBins(("ok", "late")), ["ok"]),
    )
    found = trial_columns(schema, baseline)
    assert set(found["delay"]) == {3.0, 4.0, 5.0}
    assert found["distance"][0] == 0.0
    assert len(set(found["distance"])) == 32
    assert set(found["carrier"]) == {"AA"}
    assert trial_columns(schema, None)["carrier"] == [""] * 32
    assert found == trial_columns(schema, baseline)
