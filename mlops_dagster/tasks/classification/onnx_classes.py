"""The classes of an ONNX classifier, in the order of its probabilities."""

import json
from typing import TYPE_CHECKING, cast

from mlops_dagster.errors import InvalidInputError

if TYPE_CHECKING:
    from onnx import AttributeProto, ModelProto, NodeProto

_PASS_ON = frozenset({"Cast", "Flatten", "Identity", "Reshape", "Squeeze", "Unsqueeze"})
_LABELS = ("classlabels_strings", "classlabels_int64s", "classlabels_ints")

Labels = list[str] | list[int]


def class_labels(model: "ModelProto", probabilities: str) -> Labels:
    """Return the classes in the order of the output `probabilities`; raises InvalidInputError if it names none.

    They come from the metadata `classes` (a JSON list), else from the node that makes the output a map of classes
    (ZipMap), else from the source of the label output: a classifier, a look-up in a list, a label encoder.
    """
    for found in (_from_metadata(model), _from_graph(model, probabilities)):
        if _are_labels(found):
            return found
    raise InvalidInputError(
        "the ONNX model does not say what its classes are; export it with its label output, or name them: "
        'entry = model.metadata_props.add(); entry.key, entry.value = "classes", \'["on_time", "late"]\''
    )


def _from_metadata(model: "ModelProto") -> Labels:
    text = next((entry.value for entry in model.metadata_props if entry.key == "classes"), "[]")
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, list):
        raise InvalidInputError(f"the metadata `classes` of the ONNX model is {text!r}, and not a JSON list of classes")
    return found


def _are_labels(found: Labels) -> bool:
    kinds = {type(label) for label in found}
    return kinds in ({str}, {int}) and len(set(found)) == len(found)


def _from_graph(model: "ModelProto", probabilities: str) -> Labels:
    makers = {name: node for node in model.graph.node for name in node.output}
    labels = next((one.name for one in model.graph.output if one.name != probabilities), probabilities)
    zipmap = makers.get(probabilities)
    name = probabilities if zipmap is not None and zipmap.op_type == "ZipMap" else labels
    while name in makers:
        node = makers[name]
        if node.op_type not in _PASS_ON:
            return _of_node(node, model)
        name = node.input[0]
    return []


def _of_node(node: "NodeProto", model: "ModelProto") -> Labels:
    from onnx import numpy_helper

    values = {attribute.name: _values(attribute) for attribute in node.attribute}
    for name in _LABELS:
        if name in values:
            return values[name]
    if node.op_type == "LabelEncoder":
        encoded = values.get("values_strings") or values.get("values_int64s") or []
        return encoded if values.get("keys_int64s") == list(range(len(encoded))) else []
    if node.op_type == "ArrayFeatureExtractor":
        for constant in model.graph.initializer:
            if constant.name == node.input[0]:
                return _texts(numpy_helper.to_array(constant).ravel().tolist())
    return []


def _values(attribute: "AttributeProto") -> Labels:
    return _texts(list(attribute.strings)) or list(attribute.ints)


def _texts(labels: list[bytes] | list[str] | list[int]) -> Labels:
    return cast("Labels", [label.decode() if isinstance(label, bytes) else label for label in labels])
