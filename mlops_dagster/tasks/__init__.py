"""Tasks: the outputs, truth, loss and quality measures of each kind of model.

Everything that is true of one kind of model only is reached through `ModelSchema.task`, an object of one of the classes
in `TASKS`. A new kind is a class that implements `Task`, and an entry of `TASKS`. docs/decisions/0057 has the reasons.
"""

from mlops_dagster.tasks.answers import AnswerReader, Answers, Output, RawOutputs
from mlops_dagster.tasks.classification import UNKNOWN_CLASSES, Classification
from mlops_dagster.tasks.named import TASKS, joined, task_of_kind, task_of_schema
from mlops_dagster.tasks.task import Measure, Sums, Task

__all__ = [
    "TASKS",
    "UNKNOWN_CLASSES",
    "AnswerReader",
    "Answers",
    "Classification",
    "Measure",
    "Output",
    "RawOutputs",
    "Sums",
    "Task",
    "joined",
    "task_of_kind",
    "task_of_schema",
]
