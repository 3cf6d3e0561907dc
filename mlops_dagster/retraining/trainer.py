"""The protocol of a trainer: the small module that a team writes for its model."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import ModuleType
from typing import TYPE_CHECKING, Protocol, cast

from mlops_dagster.documents.readable import fields_of
from mlops_dagster.errors import InvalidInputError, TrainingDataError
from mlops_dagster.frames.conform import LABEL, TIME, check_window, conform
from mlops_dagster.registry import Validation
from mlops_dagster.registry.estimators import Estimator
from mlops_dagster.schema import ModelSchema

if TYPE_CHECKING:
    import pandas as pd


class Trainer(Protocol):
    """A module with these names, and those of `EstimatorTrainer` or `FittingTrainer`.

    A trainer whose champion is to score batches (`batch_scores` in defs.yaml) has one more: see `BatchSource`.
    """

    SCHEMA: ModelSchema

    def training_set(self, start: datetime, end: datetime) -> pd.DataFrame:
        """Return the labelled rows of [start, end) whose label was known by `end`.

        Columns: the features of the schema; `label`, one of its truths; `event_time`, with a time zone. Numbers may
        be of any type of pandas, Arrow or Decimal; labels and categories texts, whole numbers or booleans.
        """
        ...


class EstimatorTrainer(Trainer, Protocol):
    """A trainer whose estimator the platform fits; `examples/flights/flights/trainer.py` is one."""

    def estimator(self) -> Estimator:
        """Return a new, unfitted estimator that accepts the schema's columns: see docs/reference/estimators.md."""
        ...


class FittingTrainer(Trainer, Protocol):
    """A trainer that fits by itself, and so may use any library that writes ONNX."""

    def fit(self, features: pd.DataFrame, labels: pd.Series[str]) -> Estimator | str | os.PathLike[str]:
        """Return an estimator fitted on these rows, or the path of a skops or ONNX file with it.

        It is called once for the evaluation on later rows, then once more with all rows.
        """
        ...


class BatchSource(Protocol):
    """The source of the rows that a champion scores daily, whether or not they are requested online."""

    def batch(self, start: datetime, end: datetime) -> pd.DataFrame:
        """Return the rows of [start, end): the features of the schema as in a training set, and `event_time`.

        Further columns, such as an id, are kept with the scores. If `prediction_id` and `key` are among them, an
        erasure finds the rows of a person by these.
        """
        ...


@dataclass(frozen=True)
class TrainingSet:
    """Rows to train on, the result of their validation, and the trigger and reason of the training."""

    frame: pd.DataFrame
    validation: Validation
    as_of: datetime
    trigger: str
    reason: str
    numbers: Mapping[str, str] = field(default_factory=dict)
    """The numbers of the trigger."""


def read_batch(module_name: str, start: datetime, end: datetime) -> pd.DataFrame:
    """Return the rows that `batch` of that module gives; raises InvalidInputError for its errors and wrong types."""
    source, where = load_batch_source(module_name), f"`batch` of {module_name}"
    try:
        found: object = source.batch(start, end)
    except Exception as error:
        raised = f"{where} raised {type(error).__name__}"
        raise InvalidInputError(f"{raised}: {error}", told=raised) from error
    try:
        return _frame(found)
    except InvalidInputError as error:
        raise InvalidInputError(f"{where}: {error}") from error


def batch_rows(frame: pd.DataFrame, schema: ModelSchema, start: datetime, end: datetime) -> pd.DataFrame:
    """Return the rows of a batch in the types of `schema`; further columns, such as an id, are unchanged.

    Raises InvalidInputError for values and times that cannot be converted, with the code to write instead.
    """
    if TIME not in frame:
        return conform(frame, schema)
    rows = conform(frame, schema, TIME)
    check_window(rows, start, end)
    return rows


def read_training_set(module_name: str, start: datetime, end: datetime) -> pd.DataFrame:
    """Return the rows of that module's `training_set`, in the schema's types, by time; other columns are unchanged.

    Their values are for the suite to judge. Errors of the module's own code pass through. Raises TrainingDataError if
    the result is not a frame with rows of [start, end) as `Trainer` describes, with the code to write instead.
    """
    trainer, where = load_trainer(module_name), f"`training_set` of {module_name}"
    found: object = trainer.training_set(start, end)
    try:
        frame = conform(_frame(found), trainer.SCHEMA, LABEL, TIME)
        check_window(frame, start, end)
        _refuse_infinite(frame, [each.name for each in trainer.SCHEMA.features if each.kind == "numeric"])
    except InvalidInputError as error:
        raise TrainingDataError(f"{where}: {error.message}", told=f"{where}: {error.told}") from error
    return frame.sort_values(TIME, kind="stable", ignore_index=True)


def _frame(found: object) -> pd.DataFrame:
    import pandas as pd

    if isinstance(found, pd.DataFrame):
        return found
    kind = f"{type(found).__module__.partition('.')[0]}.{type(found).__qualname__}".removeprefix("builtins.")
    way = "; give its `.to_pandas()`" if hasattr(found, "to_pandas") else ""
    raise InvalidInputError(f"it gave a {kind}, not a DataFrame of pandas{way}")


def _refuse_infinite(frame: pd.DataFrame, numeric: list[str]) -> None:
    """Refuse infinite values: estimators refuse them, silently fit on them, or get bin edges no baseline can keep."""
    import numpy as np

    for name in numeric:
        if infinite := int(np.isinf(frame[name].to_numpy()).sum()):
            raise InvalidInputError(
                f"{infinite} of {len(frame)} values of {name!r} are infinite; give null where a number is not known, "
                "or leave the rows out"
            )


def check_trainer(module_name: str) -> None:
    """Raise InvalidInputError if no module has that dotted name. The module is located, not run: that may be slow."""
    try:
        found = importlib.util.find_spec(module_name)
    except ImportError as error:
        raise _no_module(module_name, error) from error
    if found is None:
        raise _no_module(module_name)


def load_trainer(module_name: str) -> Trainer:
    """Return the trainer module of that dotted name, checked against its protocol; raises InvalidInputError."""
    module = _module(module_name, SCHEMA=None, training_set=("start", "end"))
    if not isinstance(module.SCHEMA, ModelSchema):
        raise InvalidInputError(
            f"SCHEMA of the trainer {module_name!r} is a {type(module.SCHEMA).__name__}; write "
            "SCHEMA = ModelSchema(features=(Feature(name=..., kind=...), ...), task=Classification(classes=(...)))"
        )
    if hasattr(module, "fit"):
        _check_function(module, "fit", ("features", "labels"))
    elif hasattr(module, "estimator"):
        _check_function(module, "estimator", ())
    else:
        raise InvalidInputError(f"the trainer {module_name!r} lacks estimator, or fit; see retraining/trainer.py")
    return cast("Trainer", module)


def load_batch_source(module_name: str) -> BatchSource:
    """Return the module of that dotted name as a source of batches; raises InvalidInputError if it has no `batch`."""
    return cast("BatchSource", _module(module_name, batch=("start", "end")))


def _module(module_name: str, **wanted: tuple[str, ...] | None) -> ModuleType:
    """Return the module if it has the `wanted` names: functions with these arguments, or any value (None)."""
    module = _imported(module_name)
    missing = [name for name in wanted if not hasattr(module, name)]
    if missing:
        raise InvalidInputError(f"the trainer {module_name!r} lacks {', '.join(missing)}; see retraining/trainer.py")
    for name, arguments in wanted.items():
        if arguments is not None:
            _check_function(module, name, arguments)
    return module


def _check_function(module: ModuleType, name: str, arguments: tuple[str, ...]) -> None:
    if not _takes(getattr(module, name), arguments):
        raise InvalidInputError(
            f"{name} of the trainer {module.__name__!r} is not a function that can be called as "
            f"{name}({', '.join(arguments)}); write `def {name}({', '.join(arguments)}):`"
        )


def _imported(module_name: str) -> ModuleType:
    from pydantic import ValidationError

    try:
        return importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or f"{module_name}.".startswith(f"{error.name}."):
            raise _no_module(module_name, error) from error
        raise InvalidInputError(
            f"the trainer {module_name!r} imports {error.name!r}, which is not installed here; install it, or mend the "
            "import"
        ) from error
    except InvalidInputError:
        raise
    except Exception as error:  # any error of its own code
        said = fields_of(error) if isinstance(error, ValidationError) else str(error)
        raised = f"the trainer {module_name!r} cannot be imported: {type(error).__name__}"
        raise InvalidInputError(f"{raised}: {said}", told=raised) from error


def _takes(function: object, arguments: tuple[str, ...]) -> bool:
    if not callable(function):
        return False
    try:
        inspect.signature(function).bind(*arguments)
    except TypeError:
        return False
    except ValueError:  # some functions of other languages have no signature
        return True
    return True


def _no_module(module_name: str, error: ImportError | None = None) -> InvalidInputError:
    why = "" if error is None else f" ({error})"
    return InvalidInputError(
        f"no module {module_name!r}{why}; `trainer` in defs.yaml names a Python module by its dotted path"
    )
