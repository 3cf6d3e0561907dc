"""What a team writes to bring its model: one small module."""

from __future__ import annotations

import importlib
import importlib.util
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import ModuleType
from typing import TYPE_CHECKING, Protocol, cast

from mlops_dagster.errors import InvalidInputError, TrainingDataError
from mlops_dagster.registry import Validation
from mlops_dagster.schema import ModelSchema

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd


class Estimator(Protocol):
    """The part of scikit-learn's classifier interface that is used."""

    @property
    def classes_(self) -> npt.NDArray[np.str_]: ...

    def fit(self, X: pd.DataFrame, y: pd.Series[str]) -> Estimator:  # noqa: N803  # scikit-learn's own name
        ...

    def predict_proba(self, X: pd.DataFrame) -> npt.NDArray[np.float64]:  # noqa: N803
        ...


class Trainer(Protocol):
    """A module with these names, and those of `EstimatorTrainer` or `FittingTrainer`, is a trainer.

    One that is to score batches (`batch_scores` in defs.yaml) has another: see `BatchSource`.
    """

    SCHEMA: ModelSchema

    def training_set(self, start: datetime, end: datetime) -> pd.DataFrame:
        """The labelled rows of [start, end) whose label was known by `end`, in order of time.

        Columns: the schema's features (float64 or str), `label` (str, one of the classes), `event_time` (UTC).
        """
        ...


class EstimatorTrainer(Trainer, Protocol):
    """A trainer whose estimator is fitted for it; `examples/flights/flights/trainer.py` is one."""

    def estimator(self) -> Estimator:
        """Return a new, unfitted classifier that takes a frame with the schema's columns: see docs/estimators.md."""
        ...


class FittingTrainer(Trainer, Protocol):
    """A trainer that fits by itself, and so may use any library that writes ONNX."""

    def fit(self, features: pd.DataFrame, labels: pd.Series[str]) -> Estimator | str | os.PathLike[str]:
        """Return a classifier fitted on these rows, or the path of a skops or ONNX file with it.

        It is called once to be judged on later rows, then once more with all rows.
        """
        ...


class BatchSource(Protocol):
    """Where the rows come from that a champion is to score by the day, asked for online or not."""

    def batch(self, start: datetime, end: datetime) -> pd.DataFrame:
        """The rows of [start, end), in order of time: the schema's features (float64 or str), and `event_time` (UTC).

        Further columns, such as an id, are kept beside the scores. By `prediction_id` and `key`, if they are among
        them, an erasure finds the rows of a person.
        """
        ...


@dataclass(frozen=True)
class TrainingSet:
    """Rows to train on, what their validation found, and why they were asked for."""

    frame: pd.DataFrame
    validation: Validation
    as_of: datetime
    trigger: str
    reason: str
    numbers: Mapping[str, str] = field(default_factory=dict)
    """What the trigger was measured at."""


def read_batch(module_name: str, start: datetime, end: datetime) -> pd.DataFrame:
    """What `batch` of that module gives; raises InvalidInputError for whatever it raises, and for no DataFrame."""
    import pandas as pd

    source = load_batch_source(module_name)
    try:
        found: object = source.batch(start, end)
    except Exception as error:
        raised = f"`batch` of {module_name} raised {type(error).__name__}"
        raise InvalidInputError(f"{raised}: {error}", told=raised) from error
    if not isinstance(found, pd.DataFrame):
        raise InvalidInputError(f"`batch` of {module_name} gave a {type(found).__name__}, not a DataFrame")
    return found


def read_training_set(module_name: str, start: datetime, end: datetime) -> pd.DataFrame:
    """What `training_set` of that module gives, numbers as float64 where that is exact, as the data plane has them.

    What the rows are, and their labels, is for their suite to say. What the module raises is its own. Raises
    TrainingDataError for what is no DataFrame with times.
    """
    import pandas as pd

    from mlops_dagster.monitoring.odd_frames import with_exact_numbers

    trainer = load_trainer(module_name)
    found: object = trainer.training_set(start, end)
    if not isinstance(found, pd.DataFrame):
        raise TrainingDataError(f"`training_set` of {module_name} gave a {type(found).__name__}, not a DataFrame")
    times = found["event_time"].dtype if "event_time" in found else "no such column"
    if len(found) and not isinstance(times, pd.DatetimeTZDtype):
        raise TrainingDataError(f"`training_set` of {module_name}: `event_time` is {times}, not times in UTC")
    numeric = [each.name for each in trainer.SCHEMA.features if each.kind == "numeric"]
    frame = with_exact_numbers(found, numeric)
    _refuse_infinite(module_name, frame, [name for name in numeric if name in frame])
    return frame


def _refuse_infinite(module_name: str, frame: pd.DataFrame, numeric: list[str]) -> None:
    """An estimator either refuses them, fits on them in silence, or has edges of bins that no baseline can keep."""
    import numpy as np

    for name in numeric:
        values = frame[name]
        if values.dtype == np.float64 and (infinite := int(np.isinf(values.to_numpy()).sum())):
            raise TrainingDataError(
                f"`training_set` of {module_name}: {infinite} of {len(frame)} values of {name!r} are infinite; give "
                "null where a number is not known, or leave the rows out"
            )


def check_trainer(module_name: str) -> None:
    """Raises InvalidInputError if there is no module of that dotted name. It is looked for, not run: it may be slow."""
    try:
        found = importlib.util.find_spec(module_name)
    except ImportError as error:
        raise _no_module(module_name, error) from error
    if found is None:
        raise _no_module(module_name)


def load_trainer(module_name: str) -> Trainer:
    """The trainer module of that dotted name; raises InvalidInputError saying what it lacks."""
    module = _module(module_name, "SCHEMA", "training_set")
    if not hasattr(module, "estimator") and not hasattr(module, "fit"):
        raise InvalidInputError(f"the trainer {module_name!r} lacks estimator, or fit; see retraining/trainer.py")
    return cast("Trainer", module)


def load_batch_source(module_name: str) -> BatchSource:
    """The same module as the source of batches; raises InvalidInputError if it is none."""
    return cast("BatchSource", _module(module_name, "batch"))


def _module(module_name: str, *names: str) -> ModuleType:
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        raise _no_module(module_name, error) from error
    missing = [name for name in names if not hasattr(module, name)]
    if missing:
        raise InvalidInputError(f"the trainer {module_name!r} lacks {', '.join(missing)}; see retraining/trainer.py")
    return module


def _no_module(module_name: str, error: ImportError | None = None) -> InvalidInputError:
    why = "" if error is None else f" ({error})"
    return InvalidInputError(
        f"no module {module_name!r}{why}; `trainer` in defs.yaml names a Python module by its dotted path"
    )
