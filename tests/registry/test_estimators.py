from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, OrdinalEncoder, StandardScaler

from mlops_dagster.errors import InvalidInputError, UnsafeArtifactError
from mlops_dagster.registry import ModelRegistry, estimators

ORDINAL = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=-1)


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    rng = np.random.default_rng(7)
    return pd.DataFrame({"hour": rng.uniform(0, 24, 300), "carrier": rng.choice(["AA", "UA"], 300)})


@pytest.fixture(scope="module")
def labels(rows: pd.DataFrame) -> "np.ndarray":
    return np.where(rows.hour > 17, "late", "on_time")


@pytest.mark.parametrize(
    "pipeline",
    [
        make_pipeline(
            make_column_transformer((ORDINAL, ["carrier"]), remainder="passthrough"),
            HistGradientBoostingClassifier(max_iter=5, categorical_features=[0]),
        ),
        make_pipeline(
            make_column_transformer((OneHotEncoder(), ["carrier"]), (StandardScaler(), ["hour"])), LogisticRegression()
        ),
        make_pipeline(
            make_column_transformer((ORDINAL, make_column_selector(dtype_include=object)), remainder="passthrough"),
            HistGradientBoostingClassifier(max_iter=5),
        ),
    ],
    ids=["boosted", "logistic", "selected"],
)
def test_an_estimator_comes_back_and_says_the_same(
    registry: ModelRegistry, tmp_path: Path, rows: pd.DataFrame, labels, pipeline: Pipeline
) -> None:
    pipeline.fit(rows, labels)
    version = registry.register("flights", pipeline)
    loaded = registry.load(version)
    assert loaded.classes_.tolist() == ["late", "on_time"]
    np.testing.assert_array_equal(loaded.predict_proba(rows), pipeline.predict_proba(rows))

    (tmp_path / "folder").mkdir()
    estimators.save(pipeline, tmp_path / "folder" / "model.skops")
    (tmp_path / "folder" / "README.md").write_text("what it is")
    folder = registry.register("flights", tmp_path / "folder")
    np.testing.assert_array_equal(registry.load(folder).predict_proba(rows), pipeline.predict_proba(rows))


class Foreign(BaseEstimator):
    """A type that nobody put on the list."""

    def __setstate__(self, state: object) -> None:
        raise AssertionError("code of an untrusted type was run")


@pytest.mark.parametrize(
    "step",
    [Foreign(), FunctionTransformer(func=np.savetxt, validate=False), [Foreign]],
    ids=["type", "function", "class"],
)
def test_types_that_are_not_trusted_are_refused_when_saved_and_when_loaded(
    registry: ModelRegistry, tmp_path: Path, step: object
) -> None:
    import skops.io

    foreign = LogisticRegression().fit([[0.0], [1.0]], ["late", "on_time"])
    foreign.note_ = step

    if skops.io.get_untrusted_types(data=skops.io.dumps(foreign)) == []:
        pytest.fail("skops trusts it: no test")
    with pytest.raises(UnsafeArtifactError, match="types that are not trusted"):
        registry.register("flights", foreign)
    assert registry.models() == []
    # A file that somebody else wrote gets as far as the registry, and no further.
    skops.io.dump(foreign, tmp_path / "model.skops")
    version = registry.register("flights", tmp_path / "model.skops")
    with pytest.raises(UnsafeArtifactError, match="types that are not trusted"):
        registry.load(version)


def test_other_files_are_no_estimators(registry: ModelRegistry, tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_text("weights")
    with pytest.raises(InvalidInputError, match="neither as skops nor as ONNX"):
        registry.load(registry.register("flights", tmp_path / "model.onnx"))
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "a.txt").write_text("a")
    with pytest.raises(InvalidInputError, match=r"one \*.skops or \*.onnx file to be loaded, and has 0"):
        registry.load(registry.register("flights", tmp_path / "folder"))
