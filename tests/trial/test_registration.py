"""What cannot be served is not registered, and costs the process that registers it nothing."""

import json
import resource
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from mlops_dagster.errors import TrialFailedError
from mlops_dagster.registry import ModelRegistry
from mlops_dagster.schema import Feature, ModelSchema
from mlops_dagster.settings import Settings
from tests.support.broken import bad_tree, bomb, crashing
from tests.support.serving.data_plane import CARD, SCHEMA, make_baseline

NUMBERS = ModelSchema(features=SCHEMA.features[:2], task=SCHEMA.task)


@pytest.fixture
def registry(tmp_path: Path) -> ModelRegistry:
    return ModelRegistry(settings=Settings(home=tmp_path / "home", trial_memory_mb=256), actor="test")


def refused(registry: ModelRegistry, artifact: Path, match: str, schema: ModelSchema = SCHEMA) -> None:
    with pytest.raises(TrialFailedError, match=match):
        registry.register("flights", artifact, schema=schema, card=CARD, baseline=make_baseline(schema))
    assert registry.models() == []


def test_a_tree_that_leads_nowhere(registry: ModelRegistry, tmp_path: Path) -> None:
    refused(registry, bad_tree(tmp_path / "model.skops"), "HistGradientBoostingClassifier in the file has a tree that")


def test_a_version_that_crashes(registry: ModelRegistry, tmp_path: Path) -> None:
    refused(
        registry,
        crashing(tmp_path / "model.skops"),
        "^flights 1.0.0 failed its trial: it crashed with SIGSEGV while scoring one row like its training data, .*"
        "make it anew with those that are installed here",
    )


def test_a_file_that_unpacks_to_a_thousand_times_as_much(registry: ModelRegistry, tmp_path: Path) -> None:
    file = bomb(tmp_path / "model.skops", 600 << 20)
    assert file.stat().st_size < 4 << 20
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    refused(registry, file, "it needs more than 256 MB of memory for loading it", NUMBERS)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 << 10


def linear(file: Path, rows: int | None = None, **inputs: int) -> Path:
    """An ONNX classifier of inputs by name, each that many columns wide: late is what is over 15 in sum."""
    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [rows, width]) for name, width in inputs.items()]
    constants = [
        helper.make_tensor("over", TensorProto.FLOAT, [1], [15.0]),
        helper.make_tensor("one", TensorProto.FLOAT, [1], [1.0]),
        helper.make_tensor("columns", TensorProto.INT64, [1], [1]),
    ]
    nodes = [
        helper.make_node("Concat", list(inputs), ["all"], axis=1),
        helper.make_node("ReduceSum", ["all", "columns"], ["sum"]),
        helper.make_node("Sub", ["sum", "over"], ["above"]),
        helper.make_node("Sigmoid", ["above"], ["late"]),
        helper.make_node("Sub", ["one", "late"], ["on_time"]),
        helper.make_node("Concat", ["on_time", "late"], ["probabilities"], axis=1),
    ]
    found = helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, [rows, 2])
    graph = helper.make_graph(nodes, "linear", ports, [found], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    helper.set_model_props(model, {"classes": json.dumps(SCHEMA.task.truths)})
    onnx.save(model, file)
    return file


@pytest.mark.parametrize("rows", [1, 4])
def test_an_onnx_model_with_a_fixed_batch(registry: ModelRegistry, tmp_path: Path, rows: int) -> None:
    file = linear(tmp_path / "model.onnx", rows, delay=1, distance=1)
    refused(
        registry, file, f"takes {rows} rows at a time, no more and no fewer; export it again with a dynamic", NUMBERS
    )


@pytest.mark.parametrize(
    ("inputs", "match"),
    [
        ({"delay": 1, "gate": 1}, "asks for gate, which is not a column"),
        ({"float_input": 3}, "takes 3 columns, and the schema has 2 features: delay, distance"),
    ],
)
def test_an_onnx_model_that_cannot_be_fed(
    registry: ModelRegistry, tmp_path: Path, inputs: dict[str, int], match: str
) -> None:
    refused(registry, linear(tmp_path / "model.onnx", **inputs), match, NUMBERS)


def test_an_onnx_model_whose_weights_stayed_beside_it(registry: ModelRegistry, tmp_path: Path) -> None:
    """What is tried is what is kept: the file alone."""
    file = linear(tmp_path / "model.onnx", delay=1, distance=1)
    model = onnx.load(file)
    model.graph.initializer[0].CopyFrom(numpy_helper.from_array(np.array([15], dtype=np.float32), "over"))
    onnx.save(model, file, save_as_external_data=True, location="weights.bin", size_threshold=0)
    refused(registry, file, "registered as the folder with all of them", NUMBERS)


def test_what_has_no_schema_is_kept_untried(registry: ModelRegistry, tmp_path: Path) -> None:
    """It can be fetched, and not served."""
    assert registry.register("flights", bad_tree(tmp_path / "model.skops")).version == "1.0.0"
    assert not registry.register("flights", linear(tmp_path / "model.onnx", delay=1)).schema


def test_a_sound_model_is_tried_once(registry: ModelRegistry, tmp_path: Path) -> None:
    """The same bytes again, under another number, cost nothing; nor the data plane of this home."""
    schema = ModelSchema(features=(Feature(name="delay", kind="numeric"),), task=SCHEMA.task)
    file = linear(tmp_path / "model.onnx", delay=1)
    first = registry.register("flights", file, schema=schema)
    known = list((tmp_path / "home" / "trials").glob("*.json"))
    assert len(known) == 1
    assert registry.register("flights", file, schema=schema).digest == first.digest
    assert list((tmp_path / "home" / "trials").glob("*.json")) == known
