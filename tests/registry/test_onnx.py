"""ONNX models, held against the scikit-learn models that they were made from."""

from pathlib import Path

import numpy as np
import onnx
import pandas as pd
import pytest
from onnx import TensorProto, helper
from skl2onnx import convert_sklearn, to_onnx
from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType, Int64TensorType, StringTensorType
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder

from mlops_dagster.errors import InvalidInputError, ModelFailedError
from mlops_dagster.registry import ModelRegistry, estimators

RNG = np.random.default_rng(7)
ROWS = pd.DataFrame(
    {
        "hour": RNG.integers(0, 24, 300).astype(float),
        "delay": RNG.normal(10, 20, 300),
        "carrier": ["AA", "B6", "UA"] * 100,
    }
)
NUMBERS = ROWS[["hour", "delay"]]
LATE = np.where(ROWS.delay > 15, "late", "on_time")
COLUMNS = [
    ("hour", Int64TensorType([None, 1])),
    ("delay", FloatTensorType([None, 1])),
    ("carrier", StringTensorType([None, 1])),
]


@pytest.fixture
def uri(tmp_path: Path) -> str:
    """The kind of database has no say in this."""
    return f"sqlite:///{tmp_path}/home/mlops.sqlite"


def pipeline(classifier: object) -> Pipeline:
    encoder = make_column_transformer((OneHotEncoder(sparse_output=False), ["carrier"]), remainder="passthrough")
    return make_pipeline(encoder, classifier)


def converted(model: Pipeline, *, zipmap: bool) -> onnx.ModelProto:
    return convert_sklearn(model, initial_types=COLUMNS, options={id(model): {"zipmap": zipmap}})


def write(model: onnx.ModelProto, file: Path) -> Path:
    file.write_bytes(model.SerializeToString())
    return file


@pytest.mark.parametrize("zipmap", [True, False])
@pytest.mark.parametrize("labels", [LATE, np.array([7, 3, 5] * 100)], ids=["texts", "numbers"])
@pytest.mark.parametrize("classifier", [HistGradientBoostingClassifier(max_iter=5), GaussianNB()])
def test_an_onnx_model_answers_as_the_one_it_was_made_from(
    registry: ModelRegistry, tmp_path: Path, classifier: object, labels, zipmap: bool
) -> None:
    model = pipeline(classifier).fit(ROWS, labels)
    (tmp_path / "folder").mkdir()
    file = write(converted(model, zipmap=zipmap), tmp_path / "folder" / "model.onnx")
    for artifact in (file, file.parent):
        loaded = registry.load(registry.register("flights", artifact))
        assert loaded.classes_.tolist() == model.classes_.tolist()
        found = loaded.predict_proba(ROWS[["carrier", "delay", "hour"]])
        assert (found.dtype, found.shape) == (np.float64, (300, len(model.classes_)))
        np.testing.assert_allclose(found, model.predict_proba(ROWS), atol=1e-5)


@pytest.mark.parametrize("kind", [FloatTensorType, DoubleTensorType])
def test_one_input_takes_all_columns_in_their_order(tmp_path: Path, kind: type) -> None:
    model = LogisticRegression().fit(NUMBERS.to_numpy(), LATE)
    proto = to_onnx(model, initial_types=[("X", kind([None, 2]))], options={"zipmap": False})
    loaded = estimators.load(write(proto, tmp_path / "model.onnx"))
    np.testing.assert_allclose(loaded.predict_proba(NUMBERS), model.predict_proba(NUMBERS.to_numpy()), atol=1e-5)
    with pytest.raises(ModelFailedError, match="the ONNX model failed"):
        loaded.predict_proba(NUMBERS[["hour"]])
    with pytest.raises(InvalidInputError, match=r"X of the ONNX model is tensor\((float|double)\): could not convert"):
        loaded.predict_proba(ROWS[["hour", "carrier"]])


def test_columns_that_cannot_be_fed_are_named(tmp_path: Path) -> None:
    model = pipeline(GaussianNB()).fit(ROWS, LATE)
    loaded = estimators.load(write(converted(model, zipmap=True), tmp_path / "model.onnx"))
    for rows, message in (
        (ROWS.drop(columns="delay"), "asks for delay"),
        (ROWS.assign(hour=6.5), "hour is tensor.int64., and its values are not"),
        (ROWS.assign(hour=np.nan), "hour is tensor.int64., and its values are not"),
        (ROWS.assign(carrier=None), "carrier is text, and None is none"),
        (ROWS.assign(carrier=["AA", np.nan, "UA"] * 100), "carrier is text, and nan is none"),
    ):
        with pytest.raises(InvalidInputError, match=message):
            loaded.predict_proba(rows)


def graph_of(*nodes: onnx.NodeProto, labels: int | None = None, initializers=(), probabilities=TensorProto.FLOAT):
    """x [rows, 2] to "p", and to "label" if it has a type."""
    tensors = [helper.make_tensor_value_info("p", probabilities, [None, 2])]
    if labels is not None:
        tensors.insert(0, helper.make_tensor_value_info("label", labels, [None]))
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 2])]
    graph = helper.make_graph(list(nodes), "g", inputs, tensors, list(initializers))
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


SOFTMAX = helper.make_node("Softmax", ["x"], ["p"])
BEST = helper.make_node("ArgMax", ["x"], ["best"], axis=1, keepdims=0)


def encoder(**attributes: object) -> onnx.NodeProto:
    return helper.make_node("LabelEncoder", ["best"], ["label"], domain="ai.onnx.ml", **attributes)


def test_classes_come_from_metadata_or_a_label_encoder_and_are_never_guessed(tmp_path: Path) -> None:
    file = tmp_path / "model.onnx"

    def classes(model: onnx.ModelProto, metadata: str | None = None) -> list[object]:
        if metadata is not None:
            helper.set_model_props(model, {"classes": metadata})
        return estimators.load(write(model, file)).classes_.tolist()

    names = {"values_strings": ["on_time", "late"]}
    texts = TensorProto.STRING
    assert classes(graph_of(SOFTMAX, BEST, encoder(keys_int64s=[0, 1], **names), labels=texts)) == ["on_time", "late"]
    assert classes(graph_of(SOFTMAX), '["a", "b"]') == ["a", "b"]
    assert classes(graph_of(SOFTMAX), "[1, 0]") == [1, 0]
    unsaid = (
        (graph_of(SOFTMAX), None),
        (graph_of(SOFTMAX), '["a", "a"]'),
        (graph_of(SOFTMAX), '["a", 1]'),
        (graph_of(SOFTMAX), "[[1], [2]]"),
        (graph_of(SOFTMAX, BEST, encoder(keys_int64s=[1, 0], **names), labels=texts), None),
    )
    for model, metadata in unsaid:
        with pytest.raises(InvalidInputError, match="does not say what its classes are"):
            classes(model, metadata)
    with pytest.raises(InvalidInputError, match="not a JSON list"):
        classes(graph_of(SOFTMAX), "late")
    with pytest.raises(InvalidInputError, match="names 3 classes and has 2 probabilities"):
        classes(graph_of(SOFTMAX), '["a", "b", "c"]')
    cast = helper.make_node("Cast", ["x"], ["p"], to=TensorProto.INT64)
    with pytest.raises(InvalidInputError, match=r"one output with probabilities .* has p tensor\(int64\)"):
        classes(graph_of(cast, probabilities=TensorProto.INT64), '["a", "b"]')


def weighted(location: str, kind: str) -> onnx.ModelProto:
    """x + w, with the two float32 of `w` in another file."""
    weights = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[2], data_location=TensorProto.EXTERNAL)
    weights.external_data.add(key="location", value=location)
    add = helper.make_node("Add", ["x", "w"], ["sum"])
    softmax = helper.make_node("Softmax", ["sum"], ["p"])
    if kind == "initializer":
        model = graph_of(add, softmax, initializers=[weights])
    else:
        model = graph_of(helper.make_node("Constant", [], ["w"], value=weights), add, softmax)
    helper.set_model_props(model, {"classes": '["a", "b"]'})
    return model


@pytest.mark.parametrize("kind", ["initializer", "constant"])
def test_weights_in_other_files_are_read_from_the_artifact_only(
    registry: ModelRegistry, tmp_path: Path, kind: str
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    for place in (folder / "w.bin", tmp_path / "w.bin"):
        place.write_bytes(np.array([0.0, 1.0], np.float32).tobytes())
    write(weighted("w.bin", kind), folder / "model.onnx")
    rows = pd.DataFrame({"a": [0.0], "b": [0.0]})
    found = registry.load(registry.register("flights", folder)).predict_proba(rows)
    np.testing.assert_allclose(found, [[1 / (1 + np.e), np.e / (1 + np.e)]], atol=1e-6)
    with pytest.raises(InvalidInputError, match="registered as the folder with all of them"):
        registry.load(registry.register("flights", folder / "model.onnx"))
    for location in ("../w.bin", "sub/../../w.bin", str(tmp_path / "w.bin"), str(folder / "w.bin"), "absent.bin", ""):
        write(weighted(location, kind), folder / "model.onnx")
        with pytest.raises(InvalidInputError, match="neither as skops nor as ONNX"):
            estimators.load(folder)


def test_what_onnxruntime_cannot_run_is_refused(tmp_path: Path) -> None:
    model = graph_of(helper.make_node("Unheard", ["x"], ["p"], domain="elsewhere"))
    model.opset_import.append(helper.make_opsetid("elsewhere", 1))
    with pytest.raises(InvalidInputError, match="cannot run"):
        estimators.load(write(model, tmp_path / "model.onnx"))
    with pytest.raises(InvalidInputError, match="neither as skops nor as ONNX"):
        estimators.load(write(onnx.ModelProto(), tmp_path / "model.onnx"))


def test_the_label_is_that_of_the_models_own_output(tmp_path: Path) -> None:
    """Of a graph whose label is not the most probable class: it says yes where x[1] is over 0, whatever the softmax."""
    second = helper.make_tensor("second", TensorProto.INT64, [], [1])
    zero = helper.make_tensor("zero", TensorProto.FLOAT, [], [0.0])
    over = [
        helper.make_node("Gather", ["x", "second"], ["value"], axis=1),
        helper.make_node("Greater", ["value", "zero"], ["over"]),
        helper.make_node("Cast", ["over"], ["label"], to=TensorProto.INT64),
    ]
    model = graph_of(SOFTMAX, *over, labels=TensorProto.INT64, initializers=[second, zero])
    rows = pd.DataFrame({"a": [5.0, 5.0, -5.0], "b": [1.0, -1.0, -1.0]})  # the most probable: first, first, second
    for classes, expected in (('["no", "yes"]', ["yes", "no", "no"]), ("[0, 1]", [1, 0, 0])):
        helper.set_model_props(model, {"classes": classes})
        loaded = estimators.load(write(model, tmp_path / "model.onnx"))
        labels, probabilities = loaded.predict_with_proba(rows)  # type: ignore[attr-defined]
        assert labels.tolist() == loaded.predict(rows).tolist() == expected  # type: ignore[attr-defined]
        np.testing.assert_array_equal(probabilities, loaded.predict_proba(rows))
    helper.set_model_props(model, {"classes": '["no", "yes"]'})
    model.graph.output.append(helper.make_tensor_value_info("label_of_the_other", TensorProto.INT64, [None]))
    model.graph.node.append(helper.make_node("Identity", ["label"], ["label_of_the_other"]))
    with pytest.raises(InvalidInputError, match="label, label_of_the_other of the ONNX model may each be its label"):
        estimators.load(write(model, tmp_path / "model.onnx"))


def test_a_model_without_a_label_output_says_the_most_probable_class(tmp_path: Path) -> None:
    model = graph_of(SOFTMAX)
    helper.set_model_props(model, {"classes": '["no", "yes"]'})
    loaded = estimators.load(write(model, tmp_path / "model.onnx"))
    assert loaded.predict(pd.DataFrame({"a": [1.0, 0.0], "b": [0.0, 1.0]})).tolist() == ["no", "yes"]  # type: ignore[attr-defined]
