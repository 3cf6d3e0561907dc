"""Models in ONNX files, run by onnxruntime."""

from pathlib import Path
from typing import TYPE_CHECKING

from mlops_dagster.errors import InvalidInputError, ModelFailedError
from mlops_dagster.extras import require
from mlops_dagster.registry.estimators.estimator import Estimator
from mlops_dagster.registry.estimators.onnx_inputs import check_inputs, feeds
from mlops_dagster.schema import ModelSchema
from mlops_dagster.tasks import OnnxPort, Task

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd
    from onnx import ModelProto
    from onnxruntime import InferenceSession  # type: ignore[import-untyped]  # it ships no types


class OnnxFile:
    """An `OnnxModel` that computes on one CPU thread.

    The model has either one input for each feature, of the same name and one column wide, as skl2onnx makes them from a
    DataFrame, or a single input of another name for all columns in order.
    """

    def __init__(self, session: "InferenceSession", document: "ModelProto") -> None:
        self._session = session
        self._inputs: list[OnnxPort] = session.get_inputs()
        self.outputs: list[OnnxPort] = session.get_outputs()
        self.document = document

    def check_schema(self, schema: ModelSchema) -> None:
        """Raise InvalidInputError if rows of `schema`, one or many, do not fit the inputs of the model."""
        check_inputs(self._inputs, schema)

    def run(self, frame: "pd.DataFrame", outputs: list[str]) -> "list[npt.NDArray[np.generic]]":
        """Return the values of the outputs of these names for the rows of `frame`.

        Raises InvalidInputError for columns that the model does not accept, ModelFailedError if it fails on them.
        """
        given = feeds(self._inputs, frame)
        try:
            found: list[npt.NDArray[np.generic]] = self._session.run(outputs, given)
        except Exception as error:  # onnxruntime's errors have no other common base
            raise ModelFailedError(f"the ONNX model failed: {error}") from error
        return found


def load_onnx(file: Path, task: Task) -> Estimator:
    """Return the model of an ONNX file as an estimator of `task`; weights are read from the folder of the file only.

    Raises InvalidInputError if it is not such a file, or its outputs are of another task; MissingExtraError.
    """
    require("onnx", file.name)
    import onnx
    import onnxruntime

    try:
        model = onnx.load(file, format="protobuf", load_external_data=False)
        # Given the path, the check covers the places of weights outside of the file.
        onnx.checker.check_model(str(file))
    except Exception as error:  # protobuf and onnx have no common base of errors
        raise InvalidInputError(
            f"{file.name} can be loaded neither as skops nor as ONNX ({error}); `fetch` gives its bytes, and a "
            "model with its weights in separate files is registered as the folder with all of them"
        ) from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    try:
        session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # as above
        raise InvalidInputError(f"onnxruntime {onnxruntime.__version__} cannot run {file.name}: {error}") from error
    return task.of_onnx(OnnxFile(session, model))
