"""A model that is loaded in a fraction of the time that scikit-learn takes: for tests that start many processes."""

import json
from collections.abc import Mapping
from pathlib import Path

from tests.support.serving.data_plane import SCHEMA, WIDER


def light_artifacts(folder: Path, turns: int = 0) -> Mapping[tuple[str, float], Path]:
    """An ONNX classifier by the digest of its schema and its threshold: late is a delay over that.

    `turns` of a loop make it slow: about a microsecond each.
    """
    import onnx
    from onnx import TensorProto, helper

    threshold = 15.0
    delay = helper.make_tensor_value_info("delay", TensorProto.FLOAT, [None, 1])
    found = helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, [None, 2])
    constants = [helper.make_tensor(name, TensorProto.FLOAT, [1], [value])
                 for name, value in (("threshold", threshold), ("one", 1.0))]  # fmt: skip
    body = helper.make_graph(
        [helper.make_node(name, inputs, [output]) for name, inputs, output in (
            ("Identity", ["go_on"], "goes_on"), ("Identity", ["carried"], "carries"))],
        "turn",
        [helper.make_tensor_value_info("turn", TensorProto.INT64, []),
         helper.make_tensor_value_info("go_on", TensorProto.BOOL, []),
         helper.make_tensor_value_info("carried", TensorProto.FLOAT, [None, 1])],
        [helper.make_tensor_value_info("goes_on", TensorProto.BOOL, []),
         helper.make_tensor_value_info("carries", TensorProto.FLOAT, [None, 1])],
    )  # fmt: skip
    constants.append(helper.make_tensor("turns", TensorProto.INT64, [], [turns]))
    nodes = [
        helper.make_node("Sub", ["delay", "threshold"], ["over"]),
        helper.make_node("Loop", ["turns", "", "over"], ["turned"], body=body),
        helper.make_node("Sigmoid", ["turned"], ["late"]),
        helper.make_node("Sub", ["one", "late"], ["on_time"]),
        helper.make_node("Concat", ["on_time", "late"], ["probabilities"], axis=1),
    ]
    graph = helper.make_graph(nodes, "light", [delay], [found], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    helper.set_model_props(model, {"classes": json.dumps(SCHEMA.task.truths)})
    path = folder / f"light-{turns}.onnx"
    onnx.save(model, path)
    return {(schema.digest, threshold): path for schema in (SCHEMA, WIDER)}
