"""Metadata of the server and of a model, as Open Inference Protocol v2 describes them."""

from collections.abc import Sequence
from importlib.metadata import version

from mlops_dagster.schema import ModelSchema
from mlops_dagster.serving.protocol.request_parameters import DEFAULT_OUTPUTS, OUTPUTS
from mlops_dagster.serving.protocol.tensors import Json

EXTENSIONS = ("binary_tensor_data", "parameters")


def describe_server() -> dict[str, Json]:
    """Return the metadata of the server."""
    return {"name": "mlops_dagster", "version": version("mlops-dagster"), "extensions": EXTENSIONS}


def describe_model(model: str, versions: Sequence[str], schema: ModelSchema) -> dict[str, Json]:
    """Return the metadata of a model, with an input of [rows] for each feature.

    Requests may also use [rows, 1], or one input of [rows, features] in place of all if the features are of one kind.
    """
    datatypes = {"numeric": "FP64", "categorical": "BYTES"}
    inputs = [_described(f.name, datatypes[f.kind], [-1]) for f in schema.features]
    outputs = [_described(name, OUTPUTS[name], [-1]) for name in DEFAULT_OUTPUTS]
    probabilities = _described("probabilities", "FP64", [-1, len(schema.classes)])
    probabilities["parameters"] = {"classes": list(schema.classes)}
    return {
        "name": model,
        "versions": list(versions),
        "platform": "mlops_dagster",
        "inputs": inputs,
        "outputs": [*outputs, probabilities],
    }


def _described(name: str, datatype: str, shape: list[int]) -> dict[str, Json]:
    described: dict[str, Json] = {"name": name, "datatype": datatype, "shape": shape}
    return {**described, "parameters": {"content_type": "str"}} if datatype == "BYTES" else described
