"""Estimators that were fitted elsewhere, with columns of either null, reached in every way that scikit-learn has."""

from collections.abc import Callable

import numpy as np
import pandas as pd
from sklearn.base import ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer, make_column_transformer
from sklearn.ensemble import BaggingClassifier, HistGradientBoostingClassifier, StackingClassifier, VotingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import FixedThresholdClassifier
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, TargetEncoder

from mlops_dagster.schema import Feature, ModelSchema
from mlops_dagster.tasks import Classification

TEXTS = ("a", "b")
SCHEMA = ModelSchema(
    features=(Feature(name="x", kind="numeric"), *(Feature(name=name, kind="categorical") for name in TEXTS)),
    task=Classification(classes=("ok", "late")),
)


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
        make_pipeline(make_column_transformer((one_hot(), [0, 1, 2])), line()),
        n_estimators=9,
        bootstrap_features=True,
        random_state=0,
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
