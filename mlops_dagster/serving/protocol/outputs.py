"""The outputs of answers: those of the model's task, and the id of each prediction."""

from collections.abc import Collection, Mapping
from typing import Final

from mlops_dagster.errors import InvalidInputError
from mlops_dagster.serving.protocol.tensors import shown
from mlops_dagster.tasks import Output, Task

PREDICTION_ID: Final = Output("prediction_id", "BYTES")


class Outputs:
    """The outputs that requests to one version may ask for, by name in order."""

    def __init__(self, task: Task) -> None:
        always = [each for each in task.outputs if not each.on_request]
        on_request = [each for each in task.outputs if each.on_request]
        self.by_name: Mapping[str, Output] = {each.name: each for each in (*always, PREDICTION_ID, *on_request)}
        self.by_default = tuple(each.name for each in (*always, PREDICTION_ID))

    def check(self, names: Collection[str]) -> None:
        """Raise InvalidInputError for a name that is none of these outputs."""
        for name in names:
            if name not in self.by_name:
                raise InvalidInputError(f"unknown output {shown(name)}; there are {list(self.by_name)}")
