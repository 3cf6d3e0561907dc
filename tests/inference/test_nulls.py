"""Each feature is served with the null that it was fitted with: golden cases against the estimator's own predict."""

from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.base import ClassifierMixin
from sklearn.compose import make_column_transformer
from sklearn.ensemble import StackingClassifier
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer
from threadpoolctl import threadpool_limits

from mlops_dagster.errors import ModelFailedError
from mlops_dagster.inference import Scorer, features_frame
from mlops_dagster.inference.nulls import nulls_of
from mlops_dagster.registry import estimators
from mlops_dagster.schema import Feature, ModelSchema
from mlops_dagster.serving.deployed.loaded_model import LoadedModel
from mlops_dagster.serving.plane.batching import score_together
from tests.support.inference.null_cases import SCHEMA, TEXTS, WAYS, filled, frame_with, line, one_hot, truth_of

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.slow]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    with threadpool_limits(1):
        yield


@pytest.mark.parametrize("nulls", [(None, np.nan), (np.nan, None), (None, None), (np.nan, np.nan)], ids=str)
@pytest.mark.parametrize("way", WAYS)
def test_nulls_are_what_they_were_at_fitting(way: str, nulls: tuple[float | None, float | None]) -> None:
    """Whoever fitted it, with whichever null of each column: the encoder remembers it."""
    frame = frame_with(*nulls)
    model = WAYS[way]().fit(frame, truth_of(frame))
    agree(model, frame)
    if way != "behind an imputer of NaN":
        assert model.predict(frame).tolist().count("late") > 20
    found = nulls_of("1.0.0", SCHEMA, model)
    wanted = dict(zip(TEXTS, nulls, strict=True))
    assert {name for name, null in found.items() if null is None} == {n for n, null in wanted.items() if null is None}


def agree(model: ClassifierMixin, frame: pd.DataFrame) -> None:
    """The rows are scored, and served, as the estimator's own predict has it, whichever null they are given with."""
    expected = model.predict(frame).tolist()
    for given_as in (None, np.nan, pd.NA):
        asked = frame.astype(object).where(frame.notna(), given_as).astype({"x": float})
        assert Scorer("1.0.0", SCHEMA, model).score(asked).labels == expected
    nulls = frame.astype(object).where(frame.notna(), None)
    requests = [{name: [nulls[name][place]] for name in SCHEMA.names} for place in range(20)]
    answers = score_together(LoadedModel("1.0.0", SCHEMA, model), requests)
    assert [None if isinstance(each, ModelFailedError) else each.labels[0] for each in answers] == expected[:20]


@pytest.mark.parametrize("of_b", [lambda: make_pipeline(filled(np.nan), one_hot()), one_hot])
def test_imputers_of_either_null_are_each_given_theirs(of_b: Callable[[], object], tmp_path: Path) -> None:
    """Golden: with one null for all, rows got other labels, or no answer: `Input contains NaN`. And as a file."""
    both = make_column_transformer(
        (make_pipeline(filled(None), filled(np.nan), one_hot()), ["a"]),
        (of_b(), ["b"]),
    )
    frame = frame_with(None, np.nan)
    model = make_pipeline(both, line()).fit(frame, truth_of(frame))
    agree(model, frame)
    loaded = estimators.load(estimators.save(model, tmp_path / "model.skops"))
    agree(loaded, frame)
    with pytest.raises(ValueError, match="Input contains NaN"):
        model.predict(features_frame(SCHEMA, frame))


def test_a_column_that_an_imputer_drops_moves_the_others() -> None:
    features = (*SCHEMA.features[:1], Feature(name="gone", kind="categorical"), *SCHEMA.features[1:])
    schema = ModelSchema(features=features, task=SCHEMA.task)
    frame = frame_with(None, np.nan)
    frame.insert(1, "gone", np.full(200, np.nan, dtype=object))
    drop = make_column_transformer((SimpleImputer(strategy="most_frequent"), ["gone", "b", "a"]))
    model = make_pipeline(drop, make_column_transformer((one_hot(), [0, 1])), line()).fit(frame, truth_of(frame))
    found = nulls_of("1.0.0", schema, model)
    assert found["a"] is None
    assert found["b"] is not None
    assert Scorer("1.0.0", schema, model).score(frame).labels == model.predict(frame).tolist()


def stacked(*frames: pd.DataFrame) -> StackingClassifier:
    fitted = [(f"part{place}", WAYS["by name"]().fit(each, truth_of(each))) for place, each in enumerate(frames)]
    return StackingClassifier(fitted, cv="prefit").fit(frames[0], truth_of(frames[0]))


def mixed() -> Pipeline:
    frame = frame_with(None, None)
    frame.loc[frame.index[frame["a"].isna()][:5], "a"] = np.nan
    return WAYS["by name"]().fit(frame, truth_of(frame))


def inconclusive() -> Pipeline:
    """a has None and b has NaN, and what the function between makes of them is not known."""
    frame = frame_with(None, np.nan)
    moved = make_pipeline(FunctionTransformer(lambda both: both.iloc[:, ::-1]), one_hot())
    return make_pipeline(make_column_transformer((moved, ["a", "b"])), line()).fit(frame, truth_of(frame))


@pytest.mark.parametrize(
    "made", [lambda: stacked(frame_with(None, np.nan), frame_with(np.nan, np.nan)), mixed, inconclusive]
)
def test_steps_that_want_both_nulls_of_one_feature_are_refused(made: Callable[[], ClassifierMixin]) -> None:
    told = "1.0.0 wants both kinds of null for the feature 'a': None in OneHotEncoder, NaN in OneHotEncoder; fit it"
    with pytest.raises(ModelFailedError, match=told):
        LoadedModel("1.0.0", SCHEMA, made())


def test_an_imputer_of_nan_beside_an_encoder_of_none_is_refused() -> None:
    frames = frame_with(None, np.nan), frame_with(np.nan, np.nan)
    ways = WAYS["by name"](), WAYS["behind an imputer of NaN"]()
    parts = [(f"part{at}", way.fit(each, truth_of(each))) for at, way, each in zip(count(), ways, frames)]
    model = StackingClassifier(parts, cv="prefit").fit(frames[0], truth_of(frames[0]))
    with pytest.raises(ModelFailedError, match="'a': None in OneHotEncoder, NaN in SimpleImputer; fit"):
        Scorer("1.0.0", SCHEMA, model)
