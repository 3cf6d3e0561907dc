"""Every estimator that can be registered: scikit-learn's classifiers behind encoders, and ONNX models.

The rows have two numbers and a category, with nulls in all three. Of a binary case `late` comes first in the alphabet,
and last in the schema.
"""

import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import pandas as pd
from onnx import TensorProto, helper
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType
from sklearn.base import BaseEstimator, clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import make_column_transformer
from sklearn.discriminant_analysis import QuadraticDiscriminantAnalysis
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import FixedThresholdClassifier, TunedThresholdClassifierCV
from sklearn.naive_bayes import CategoricalNB, GaussianNB
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder, OrdinalEncoder, TargetEncoder
from sklearn.svm import SVC
from sklearn.utils import all_estimators

from mlops_dagster.inference import features_frame
from mlops_dagster.registry import estimators
from mlops_dagster.schema import Feature, ModelSchema
from mlops_dagster.tasks import Classification

FEATURES = (
    Feature(name="delay", kind="numeric"),
    Feature(name="distance", kind="numeric"),
    Feature(name="carrier", kind="categorical"),
)
BINARY = ModelSchema(features=FEATURES, task=Classification(classes=("ok", "late")))
THREE = ModelSchema(features=FEATURES, task=Classification(classes=("ok", "late", "gone")))
NUMBERS = ModelSchema(features=FEATURES[:2], task=Classification(classes=("ok", "late")))
CARRIERS = ("AA", "B6", "UA")

_TWO_AND_THREE = (
    "SVC", "BernoulliNB", "CategoricalNB", "ComplementNB", "DummyClassifier", "GaussianNB",
    "HistGradientBoostingClassifier", "LabelPropagation", "LabelSpreading", "LinearDiscriminantAnalysis",
    "LogisticRegression", "LogisticRegressionCV", "MultinomialNB", "NearestCentroid", "OneVsRestClassifier",
)  # fmt: skip
_ENCODERS = ("one-hot", "strict", "infrequent", "ordinal", "constant", "frequent", "target")
NAMES = (
    *("FixedThresholdClassifier-2", "TunedThresholdClassifierCV-2"),
    *(f"{name}-{classes}" for name in _TWO_AND_THREE for classes in (2, 3)),
    *("CalibratedClassifierCV-2", "KNeighborsClassifier-2", "RandomForestClassifier-3"),
    *(f"{name}-{kind}" for name in _ENCODERS for kind in ("line", "trees")),
    *("raw-trees", "matrix-trees", "matrix-threshold", "matrix-quadratic"),
    *("onnx-zipmap", "onnx-matrix", "onnx-threshold", "onnx-no-label"),
)
"""Of what can be registered, what is held against the server: tests/estimators has all of it."""


@dataclass(frozen=True)
class Case:
    """A fitted estimator, as a file that can be registered."""

    name: str
    schema: ModelSchema
    file: Path


def rows(number: int, seed: int, *, odd: bool = False) -> pd.DataFrame:
    """Rows to fit on or to score; `odd` ones have unseen categories and infinities too."""
    generator = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "delay": generator.normal(0, 2, number).round(1),
            "distance": generator.uniform(0, 10, number).round(1),
            "carrier": generator.choice([*CARRIERS, *(["ZZ"] if odd else [])], number).astype(object),
        }
    )
    frame.loc[generator.random(number) < 0.1, "delay"] = np.nan
    frame.loc[generator.random(number) < 0.2, "carrier"] = np.nan
    if odd:
        frame.loc[generator.random(number) < 0.1, "distance"] = np.inf
    return frame


def labels(frame: pd.DataFrame, schema: ModelSchema) -> npt.NDArray[np.object_]:
    """The truth: late flights are delayed, or of a carrier that nobody knows."""
    noise = np.random.default_rng(len(frame)).normal(0, 0.5, len(frame))
    late = frame["delay"].fillna(0).to_numpy() + 1.5 * frame["carrier"].isna().to_numpy() + noise
    found = np.where(late > 1, "late", "ok").astype(object)
    if "gone" in schema.task.truths:
        found[late < -1.5] = "gone"
    return found


@cache
def fitted() -> Mapping[str, tuple[Pipeline, ModelSchema]]:
    """All that give probabilities and can be fitted on such rows, whether they can be registered or not."""
    found = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, unfitted, schema in _models():
            frame = rows(200, 1)
            with suppress(ValueError, TypeError, IndexError):
                model = clone(unfitted).fit(features_frame(schema, frame), labels(frame, schema))
                if hasattr(model, "predict_proba"):
                    found[name] = (model, schema)
    return found


@cache
def registrable() -> Mapping[str, Case]:
    """Those in `NAMES`, as files."""
    folder = Path(tempfile.mkdtemp(prefix="estimators-"))
    found = {
        name: Case(name, schema, estimators.save(model, folder / f"{name}.skops"))
        for name, (model, schema) in fitted().items()
        if name in NAMES
    }
    return found | {case.name: case for case in _onnx(folder)}


def _models() -> Iterator[tuple[str, Pipeline, ModelSchema]]:
    encoders = _encoders()
    for name, classifier in _classifiers().items():
        for schema in (BINARY, THREE):
            pipeline = make_pipeline(encoders["one-hot"], MinMaxScaler(clip=True), classifier)
            yield f"{name}-{len(schema.task.truths)}", pipeline, schema
    trees = HistGradientBoostingClassifier(max_iter=5)
    for name, encoder in encoders.items():
        yield f"{name}-line", make_pipeline(encoder, LogisticRegression()), BINARY
        yield f"{name}-trees", make_pipeline(encoder, trees), BINARY
    ordinal = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    yield (
        "raw-trees",
        make_pipeline(make_column_transformer((ordinal, ["carrier"]), remainder="passthrough"), trees),
        THREE,
    )
    yield "matrix-trees", trees, NUMBERS
    bayes = FixedThresholdClassifier(GaussianNB(), threshold=0.2, pos_label="late")
    yield "matrix-threshold", make_pipeline(SimpleImputer(), bayes), NUMBERS
    yield "matrix-quadratic", make_pipeline(SimpleImputer(), QuadraticDiscriminantAnalysis()), NUMBERS


def _encoders() -> dict[str, object]:
    one_hot = OneHotEncoder(handle_unknown="ignore")
    of_texts = (
        one_hot,
        OneHotEncoder(handle_unknown="error"),
        OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=45),
        OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=-2),
        make_pipeline(SimpleImputer(strategy="constant", fill_value="none"), one_hot),
        make_pipeline(SimpleImputer(strategy="most_frequent"), one_hot),
        TargetEncoder(random_state=0),
    )
    numbers = (SimpleImputer(), ["delay", "distance"])
    return {
        name: make_column_transformer((encoder, ["carrier"]), numbers)
        for name, encoder in zip(_ENCODERS, of_texts, strict=True)
    }


def _classifiers() -> dict[str, object]:
    """One of each class of scikit-learn that can be made without a choice, and the wrappers around another one."""
    line = LogisticRegression()
    made: dict[str, object] = {
        "FixedThresholdClassifier": FixedThresholdClassifier(line, threshold=0.1, pos_label="late"),
        "TunedThresholdClassifierCV": TunedThresholdClassifierCV(line),
        "CalibratedClassifierCV": CalibratedClassifierCV(line),
        "CategoricalNB": CategoricalNB(min_categories=2),
        "SVC": SVC(probability=True, random_state=0),
    }
    for name, each in all_estimators(type_filter="classifier"):
        if name not in (*made, "StackingClassifier", "VotingClassifier"):
            try:
                made[name] = each()
            except TypeError:
                made[name] = each(line)
    return made


def _onnx(folder: Path) -> Iterator[Case]:
    """Two converted models, one whose label is not the most probable class, and one that gives no label."""
    frame = rows(400, 1)
    model = LogisticRegression().fit(frame[["delay", "distance"]].fillna(0).to_numpy(), labels(frame, NUMBERS))
    for name, zipmap in (("onnx-zipmap", True), ("onnx-matrix", False)):
        initial = [("x", FloatTensorType([None, 2]))]
        yield _case(name, to_onnx(model, initial_types=initial, options={"zipmap": zipmap}), folder)
    yield _case("onnx-threshold", threshold_onnx(0.1), folder)
    yield _case("onnx-no-label", threshold_onnx(None), folder)


def _case(name: str, model: onnx.ModelProto, folder: Path) -> Case:
    file = folder / f"{name}.onnx"
    file.write_bytes(model.SerializeToString())
    return Case(name, NUMBERS, file)


def threshold_onnx(threshold: float | None, *, logits: bool = False) -> onnx.ModelProto:
    """P(late) is a sigmoid of twice the delay; with a threshold there is a label output: late, from there on."""
    constants = {"pick": [[-1.0, 1.0], [0.0, 0.0]]}
    nodes = [
        helper.make_node("MatMul", ["x", "pick"], ["line"]),
        helper.make_node("Identity" if logits else "Softmax", ["line"], ["p"]),
    ]
    outputs = [helper.make_tensor_value_info("p", TensorProto.FLOAT, [None, 2])]
    if threshold is not None:
        constants["limit"] = [threshold]  # type: ignore[list-item]
        nodes += [
            helper.make_node("Gather", ["p", "second"], ["late"], axis=1),
            helper.make_node("GreaterOrEqual", ["late", "limit"], ["is_late"]),
            helper.make_node("Cast", ["is_late"], ["label"], to=TensorProto.INT64),
        ]
        outputs.insert(0, helper.make_tensor_value_info("label", TensorProto.INT64, [None]))
    floats = [
        helper.make_tensor(name, TensorProto.FLOAT, np.shape(its), np.ravel(its)) for name, its in constants.items()
    ]
    tensors = [*floats, helper.make_tensor("second", TensorProto.INT64, [], [1])]
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 2])]
    graph = helper.make_graph(nodes, "g", inputs, outputs, tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, {"classes": '["ok", "late"]'})
    return model


class Margins(BaseEstimator):
    """Gives margins as probabilities, as boosters do that are asked for their raw output."""

    classes_ = np.array(["late", "ok"])

    def predict_proba(self, X: pd.DataFrame) -> npt.NDArray[np.float64]:  # noqa: N803  # scikit-learn's name
        delay = X["delay"].fillna(0).to_numpy(dtype=np.float64)
        return np.column_stack([delay, -delay])
