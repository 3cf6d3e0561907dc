"""Metadata of the server and of a model, as Open Inference Protocol v2 describes them."""

from collections.abc import Sequence
from importlib.metadata import version

from mlops_dagster.schema import ModelSchema
from mlops_dagster.serving.protocol.outputs import Outputs
from mlops_dagster.serving.protocol.tensors import Json
from mlops_dagster.tasks import Output

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
    return {
        "name": model,
        "versions": list(versions),
        "platform": "mlops_dagster",
        "inputs": inputs,
        "outputs": [_output(each) for each in Outputs(schema.task).by_name.values()],
    }


def _output(output: Output) -> dict[str, Json]:
    described = _described(output.name, output.datatype, [-1] if output.width is None else [-1, output.width])
    return described if output.parameters is None else {**described, "parameters": output.parameters}


def _described(name: str, datatype: str, shape: list[int]) -> dict[str, Json]:
    described: dict[str, Json] = {"name": name, "datatype": datatype, "shape": shape}
    return {**described, "parameters": {"content_type": "str"}} if datatype == "BYTES" else described
