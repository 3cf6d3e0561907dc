"""Each feature is served with the null that it was fitted with: golden cases against the estimator's own predict."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.base import ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer, make_column_transformer
from sklearn.ensemble import BaggingClassifier, HistGradientBoostingClassifier, StackingClassifier, VotingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import FixedThresholdClassifier
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, OrdinalEncoder, TargetEncoder
from threadpoolctl import threadpool_limits

from mlops_dagster.errors import ModelFailedError
from mlops_dagster.inference import Scorer, features_frame
from mlops_dagster.inference.nulls import nulls_of
from mlops_dagster.registry import estimators
from mlops_dagster.schema import Feature, ModelSchema
from mlops_dagster.serving.batching import score_together
from mlops_dagster.serving.models import LoadedModel

pytestmark = pytest.mark.filterwarnings("ignore")
TEXTS = ("a", "b")
SCHEMA = ModelSchema(
    features=(Feature(name="x", kind="numeric"), *(Feature(name=name, kind="categorical") for name in TEXTS)),
    classes=("ok", "late"),
)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    with threadpool_limits(1):
        yield


def frame_with(a: float | None, b: float | None) -> pd.DataFrame:
    """200 rows, a third of them without a, a third without b, in its own null."""
    generator = np.random.default_rng(8)
    frame = pd.DataFrame({"x": generator.normal(size=200)})
    for name, null in zip(TEXTS, (a, b), strict=True):
        values = generator.choice(["p", "q"], 200).astype(object)
        values[generator.random(200) < 0.33] = null
        frame[name] = values
    return frame


def truth_of(frame: pd.DataFrame) -> list[str]:
    """Late is where just one of a and b is missing, or x is large."""
    late = (frame["a"].isna() ^ frame["b"].isna()) | (frame["x"] > 1)
    return ["late" if each else "ok" for each in late]


def one_hot() -> OneHotEncoder:
    return OneHotEncoder(handle_unknown="ignore", sparse_output=False)


def line() -> LogisticRegression:
    return LogisticRegression(C=100)


def filled(null: float | None, fill: str = "none") -> SimpleImputer:
    return SimpleImputer(missing_values=null, strategy="constant", fill_value=fill)


def in_place(second: object = "passthrough") -> ColumnTransformer:
    """b, a and x, as they were."""
    return make_column_transformer((second, ["b"]), ("passthrough", [1, 0]))


def ordinal_of(*columns: object) -> Pipeline:
    ordinal = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=-2)
    encode = make_column_transformer((ordinal, *columns), remainder="passthrough")
    return make_pipeline(encode, HistGradientBoostingClassifier(max_iter=20, min_samples_leaf=5))


WAYS: dict[str, Callable[[], ClassifierMixin]] = {
    "by name": lambda: make_pipeline(make_column_transformer((one_hot(), ["a", "b"])), line()),
    "in turn": lambda: make_pipeline(make_column_transformer((one_hot(), ["b", "a"])), line()),
    "alone": lambda: make_pipeline(make_column_transformer((one_hot(), ["a"]), (one_hot(), ["b"])), line()),
    "by place": lambda: make_pipeline(make_column_transformer((one_hot(), [2, 1])), line()),
    "by slice": lambda: make_pipeline(make_column_transformer((one_hot(), slice("a", "b"))), line()),
    "by mask": lambda: ordinal_of([False, True, True]),
    "by choice": lambda: ordinal_of(lambda frame: list(frame.columns[1:])),
    "target": lambda: make_pipeline(make_column_transformer((TargetEncoder(random_state=0), ["a", "b"])), line()),
    "remainder": lambda: make_pipeline(make_column_transformer(("passthrough", ["x"]), remainder=one_hot()), line()),
    "second step": lambda: make_pipeline(in_place(), make_column_transformer((one_hot(), [0, 1])), line()),
    "second step, named": lambda: make_pipeline(
        in_place().set_output(transform="pandas"), make_column_transformer((one_hot(), [0, 1])), line()
    ),
    "behind an imputer of NaN": lambda: make_pipeline(
        make_column_transformer((make_pipeline(filled(np.nan), one_hot()), ["a", "b"])), line()
    ),
    "union": lambda: make_pipeline(
        make_column_transformer((FeatureUnion([("one", one_hot()), ("two", one_hot())]), ["a", "b"])), line()
    ),
    "calibrated": lambda: CalibratedClassifierCV(WAYS["in turn"](), cv=3),
    "threshold": lambda: FixedThresholdClassifier(WAYS["by name"](), threshold=0.4, pos_label="late"),
    "bags": lambda: BaggingClassifier(
        make_pipeline(make_column_transformer((one_hot(), [1, 2])), line()), n_estimators=3, random_state=0
    ),
    "votes": lambda: VotingClassifier([(each, WAYS[each]()) for each in ("in turn", "by place")], voting="soft"),
    "stack": lambda: StackingClassifier(
        [("one", WAYS["in turn"]())], make_pipeline(SimpleImputer(), line()), cv=3, passthrough=False
    ),
    "stack, passing": lambda: StackingClassifier(
        [("one", WAYS["in turn"]())],
        make_pipeline(make_column_transformer((one_hot(), [2, 3]), ("passthrough", [0, 1])), line()),
        cv=3,
        passthrough=True,
    ),
}


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


def test_imputers_of_either_null_are_each_given_theirs(tmp_path: Path) -> None:
    """Golden: with one null for all, 80 of 120 such rows got no answer: `Input contains NaN`. And as a file."""
    both = make_column_transformer(
        (make_pipeline(filled(None), one_hot()), ["a"]), (make_pipeline(filled(np.nan), one_hot()), ["b"])
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
    schema = SCHEMA.model_copy(update={"features": features})
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


def cannot_tell() -> Pipeline:
    """a has None and b has NaN, and what the function between makes of them is not known."""
    frame = frame_with(None, np.nan)
    moved = make_pipeline(FunctionTransformer(lambda both: both.iloc[:, ::-1]), one_hot())
    return make_pipeline(make_column_transformer((moved, ["a", "b"])), line()).fit(frame, truth_of(frame))


@pytest.mark.parametrize(
    "made", [lambda: stacked(frame_with(None, np.nan), frame_with(np.nan, np.nan)), mixed, cannot_tell]
)
def test_steps_that_want_both_nulls_of_one_feature_are_refused(made: Callable[[], ClassifierMixin]) -> None:
    told = "1.0.0 wants both kinds of null for the feature 'a': None in OneHotEncoder, NaN in OneHotEncoder; fit it"
    with pytest.raises(ModelFailedError, match=told):
        LoadedModel("1.0.0", SCHEMA, made())


def test_an_imputer_of_nan_beside_an_encoder_of_none_is_refused() -> None:
    frames = frame_with(None, np.nan), frame_with(np.nan, np.nan)
    ways = WAYS["by name"](), WAYS["behind an imputer of NaN"]()
    parts = [(f"part{place}", way.fit(each, truth_of(each))) for place, (way, each) in enumerate(zip(ways, frames))]  # noqa: B905
    model = StackingClassifier(parts, cv="prefit").fit(frames[0], truth_of(frames[0]))
    with pytest.raises(ModelFailedError, match="'a': None in OneHotEncoder, NaN in SimpleImputer; fit"):
        Scorer("1.0.0", SCHEMA, model)
