"""Tasks: the outputs, truth, loss and quality measures of each kind of model.

Everything that is true of one kind of model only is reached through `ModelSchema.task`, an object of one of the classes
in `TASKS`. A new kind is a class that implements `Task`, and an entry of `TASKS`. docs/decisions/0057 has the reasons.
"""

from mlops_dagster.tasks.answers import AnswerReader, Answers, Ask, Inputs, Output, RawOutputs
from mlops_dagster.tasks.calibration import Calibration, Places
from mlops_dagster.tasks.classification import Classification
from mlops_dagster.tasks.group_rates import GroupRates
from mlops_dagster.tasks.named import DEFAULT_KIND, TASKS, UNKNOWN_TASK, joined, task_of_kind, task_of_schema
from mlops_dagster.tasks.onnx import OnnxModel, OnnxPort
from mlops_dagster.tasks.outlook import Outlook
from mlops_dagster.tasks.quality_limits import FirstLimits, Least, QualityLimits
from mlops_dagster.tasks.task import ACCURACY, Measure, Sums, Task

__all__ = [
    "ACCURACY",
    "DEFAULT_KIND",
    "TASKS",
    "UNKNOWN_TASK",
    "AnswerReader",
    "Answers",
    "Ask",
    "Calibration",
    "Classification",
    "FirstLimits",
    "GroupRates",
    "Inputs",
    "Least",
    "Measure",
    "OnnxModel",
    "OnnxPort",
    "Outlook",
    "Output",
    "Places",
    "QualityLimits",
    "RawOutputs",
    "Sums",
    "Task",
    "joined",
    "task_of_kind",
    "task_of_schema",
]
